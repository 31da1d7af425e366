"""Whatever a program sends, the answer is one of ours: never 500 (schemathesis, from our own description of the API)."""

import pytest
from visitors import a_task, post

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
pytestmark = pytest.mark.slow
EXAMPLES = 60


def test_no_request_of_a_program_is_a_fault_of_ours(browser, app, work, people):
    from fastapi.openapi.utils import get_openapi
    from hypothesis import HealthCheck, given, settings

    client = browser("ann")
    work.ask([a_task(kind, overlap=50) for kind in ("rank", "pairwise", "rate", "demonstrate", "converse", "live_compare")])
    for kind in ("rank", "pairwise", "rate", "demonstrate", "converse", "live_compare"):
        post(client, "/next", kind=kind)  # numbers 1 to 6 are theirs
    _, token = app.state.site.tokens.make("ann", "ann", "test")
    described = get_openapi(title="heed", version="0", routes=app.routes)
    assert len(described["paths"]) >= 12
    schema = schemathesis.openapi.from_dict(described)
    seen = set()

    def body_of(case):
        if isinstance(case.body, bytes):
            return {"content": case.body}
        return {} if type(case.body).__name__ == "NotSet" else {"json": case.body}

    def call(case):
        places = dict(case.path_parameters or {})
        if isinstance(places.get("task"), int):
            case.path_parameters["task"] = places["task"] % 8  # most of them exist
        headers = {str(k): str(v).encode("ascii", "replace").decode() for k, v in dict(case.headers or {}).items()}
        headers |= {"Authorization": f"Bearer {token}"}
        answer = client.request(case.method, case.formatted_path, headers=headers, **body_of(case))
        seen.add(answer.status_code)
        assert answer.status_code < 500, (case, answer.text)

    for operation in schema.get_all_operations():
        chance = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        chance(given(case=operation.ok().as_strategy())(call))()
    assert {200, 404, 422} <= seen
