"""How good is it: one file a question, one function a metric, each with its definition, interval and source.

Every public function in this folder is a metric and has its entry in docs/metrics.md (a test compares the two).
"""
