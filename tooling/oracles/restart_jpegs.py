"""JPEGs with restart intervals, which jpeg-js does not write, for packages/data/src/golden.

Needs Pillow.

    python tooling/oracles/restart_jpegs.py packages/data/src/golden
"""

import sys
from pathlib import Path

from PIL import Image

out = Path(sys.argv[1])
grey = Image.new("L", (20, 20))
grey.putdata([(i * 37) % 256 for i in range(400)])
grey.save(out / "restarts-grey.jpg", quality=5, restart_marker_blocks=2)
colour = Image.new("RGB", (40, 24))
colour.putdata([((i * 7) % 256, i % 256, (i * 3) % 256) for i in range(960)])
for name, subsampling in (("420", 2), ("444", 0)):
    colour.save(out / f"restarts-{name}.jpg", quality=5, restart_marker_blocks=2, subsampling=subsampling)
