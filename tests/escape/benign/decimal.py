# expect: ok
# stdout: 0.3
from decimal import Decimal as D; print(D("0.1") + D("0.2"))
