"""Quire as LMCache's second tier (docs/lmcache.md): an L2 adapter that LMCache's server loads.

    lmcache server --l2-adapter '{"type":"plugin","module_path":"quire.lmcache.adapter",
      "class_name":"QuireL2Adapter","adapter_params":{}}' ...

Nothing of LMCache is imported before the adapter is.
"""
