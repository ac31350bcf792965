# expect: ok
# stdout: utf-8
import sys; print(sys.getfilesystemencoding(), "gr\u00fc\u00df")
