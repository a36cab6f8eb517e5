"""Tests of single modules, without a model and without a network; the folders mirror the package."""
