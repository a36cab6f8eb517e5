"""The comparison of two encoders: do two engines, formats or servers give the same vectors?

The package is not called ``parity``, like the marker: it would shadow the decorator ``pytest_embedqa.parity``.
"""
