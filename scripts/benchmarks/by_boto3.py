"""One file to a bucket by boto3, in the interpreter that has it; prints the seconds, without the import.

python -I by_boto3.py URL BUCKET KEY FILE PART_SIZE
"""

import sys
import time
from importlib import import_module

boto3 = import_module("boto3")  # not ours: no type of it is known here
transfer = import_module("boto3.s3.transfer")
botocore = import_module("botocore.config")

url, bucket, key, file, part = sys.argv[1:]
path_style = botocore.Config(s3={"addressing_style": "path"})
began = time.perf_counter()
s3 = boto3.client("s3", endpoint_url=url, config=path_style)
s3.upload_file(file, bucket, key, Config=transfer.TransferConfig(multipart_chunksize=int(part)))
print(time.perf_counter() - began)
