"""The inference server: one process that owns one device and steps all live sessions as one batch.

This package init stays free of torch, because the web process imports :mod:`ml.serve.wire`.
"""
