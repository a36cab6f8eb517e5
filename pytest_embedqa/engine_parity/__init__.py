"""One encoder against another: do two engines, formats or servers give the same vectors?

Not called ``parity``, because the marker is: a module of that name would take the place of ``pytest_embedqa.parity``.
"""
