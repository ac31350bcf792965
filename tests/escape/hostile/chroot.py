# expect: nonzero_exit
# refused: chroot
import os
os.chroot("/tmp")
