"""One file to a tus server by tuspy, in the interpreter that has it; prints the seconds, without the import.

python -I by_tuspy.py URL FILE PART_SIZE

As it is by default: each part on a connection of its own, no checksum, nothing read back, and nothing kept
from which it could go on.
"""

import sys
import time
from importlib import import_module

tus = import_module("tusclient.client")  # not ours: no type of it is known here

url, file, part = sys.argv[1:]
began = time.perf_counter()
tus.TusClient(url).uploader(file, chunk_size=int(part)).upload()
print(time.perf_counter() - began)
