"""The pages where people answer, and where managers see how it goes.

Pages are written by the server and work without JavaScript; small modules in `static/` add what a form cannot do: keys,
dragging, drafts, and an outbox from which nothing typed is lost.  No page asks anything of another host.
"""
