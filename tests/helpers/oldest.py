"""What the torch of `make test-oldest` lacks, for the tests of it to be skipped there."""

import pytest
import torch

half_on_cpus = pytest.mark.skipif(torch.__version__ < (2, 2), reason='autocast of torch 2.1 knows no float16 on CPUs')
