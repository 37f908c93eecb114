"""Golden blocks for every GGUF tensor type that fdiv reads: random bytes and the floats the `gguf` package makes of them.

    pip install gguf
    python tooling/oracles/gguf_blocks.py > packages/models/src/golden/gguf-blocks.json
"""

import base64
import json

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize, quantize

# Byte offsets of the half-precision scales inside one block; random bits there would be infinities.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
random = np.random.default_rng(2024)
cases = []
for name in ["F32", "F16", "BF16", *SCALES]:
    kind = GGMLQuantizationType[name]
    block, size = GGML_QUANT_SIZES[kind]
    if name in SCALES:
        data = random.integers(0, 256, (3, size), dtype=np.uint8)
        for at in SCALES[name]:
            scales = random.normal(0, 0.05, 3).astype(np.float16)
            data[:, at : at + 2] = scales.view(np.uint8).reshape(3, 2)
    else:
        # With subnormals, the largest half and a zero.
        values = np.array([random.normal(), 65504, -6e-8, 0, -1.5, 3e-5], dtype=np.float32)
        data = quantize(values, kind).view(np.uint8)
    floats = dequantize(data, kind).astype(np.float32).reshape(-1)
    cases.append({"type": name, "bytes": base64.b64encode(data.tobytes()).decode(), "floats": [float(x) for x in floats]})

# Q8_K has no reader in the package; its layout is one float32 scale, 256 signed bytes and sums nobody needs here.
quants = random.integers(-128, 128, 256, dtype=np.int8)
scale = np.float32(0.0123)
data = scale.tobytes() + quants.tobytes() + bytes(32)
cases.append({
    "type": "Q8_K",
    "bytes": base64.b64encode(data).decode(),
    "floats": [float(x) for x in scale * quants.astype(np.float32)],
})
print(json.dumps(cases))
