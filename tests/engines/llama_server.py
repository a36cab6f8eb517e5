"""llama.cpp's server as a process: ``python llama_server.py MODEL.gguf PORT [rank]``."""

import sys
import time

import xllamacpp

settings = xllamacpp.CommonParams()
settings.model.path = sys.argv[1]
settings.model_alias = {"model" if "rank" in sys.argv[3:] else "minilm"}
settings.port = int(sys.argv[2])
settings.embedding = True
if "rank" in sys.argv[3:]:
    settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
settings.n_parallel = 4
settings.n_ctx = 4 * 512
settings.n_batch = settings.n_ubatch = 512
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(settings)
while True:
    time.sleep(60)
