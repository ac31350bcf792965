# expect: ok
# stdout: True
import unittest
class T(unittest.TestCase):
    def test_x(self): self.assertEqual(1, 1)
print(unittest.TextTestRunner().run(unittest.defaultTestLoader.loadTestsFromTestCase(T)).wasSuccessful())
