"""Quire as SGLang's KV cache outside the engine (docs/sglang.md): two doors, of which one is used.

    --enable-unified-cache-external-linker --unified-cache-external-linker-backend dynamic \\
    --unified-cache-external-linker-config \\
      '{"linker":"QuireLinker","linker_module_path":"quire.sglang.linker","linker_extra_config":{}}'

    --enable-hierarchical-cache --hicache-storage-backend dynamic --hicache-storage-backend-extra-config \\
      '{"backend_name":"quire","module_path":"quire.sglang.storage","class_name":"QuireStorage"}'

Nothing of SGLang is imported before one of them is.
"""
