"""One encoder against another: do two engines, formats or servers give the same vectors?"""
