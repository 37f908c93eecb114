const setting = "hidden 256, 4 layers, 4 heads, feed-forward 1024, vocabulary 4096, tied head";

/** What each benchmark compares; the first side is what the ratios refer to, `work` is what one run of a side completes. */
export const benchmarks = {
  step: {
    title: `A DPO step of 8 pairs of 64 + 64 tokens; ${setting}; the reference's log-probabilities cached`,
    unit: "pairs/s",
    work: 8,
    sides: [
      { name: "TRL", command: ["trl_step.py"] },
      { name: "TRL, precomputed reference", command: ["trl_step.py", "cached"] },
      { name: "PyTorch", command: ["torch_step.py"] },
      { name: "PyTorch, precomputed reference", command: ["torch_step.py", "cached"] },
      {
        name: "fdiv, tensorflow, shared prompt",
        command: ["dpo-step.ts", "shared", "--backend", "tensorflow"],
      },
      {
        name: "fdiv, tensorflow, prompt twice",
        command: ["dpo-step.ts", "unshared", "--backend", "tensorflow"],
      },
      { name: "fdiv, wasm, shared prompt", command: ["dpo-step.ts", "shared"] },
      { name: "fdiv, wasm, prompt twice", command: ["dpo-step.ts", "unshared"] },
      { name: "fdiv, wasm, one thread", command: ["dpo-step.ts", "shared", "--threads", "1"] },
    ],
  },
  lora: {
    title:
      "A DPO step of 4 pairs of 64 + 64 tokens; SmolLM2-135M's architecture, LoRA of rank 16 on q_proj and v_proj",
    unit: "pairs/s",
    work: 4,
    sides: [
      { name: "TRL", command: ["trl_step.py", "lora"] },
      { name: "TRL, precomputed reference", command: ["trl_step.py", "lora", "cached"] },
      { name: "fdiv, tensorflow", command: ["dpo-step.ts", "lora", "--backend", "tensorflow"] },
      {
        name: "fdiv, tensorflow, base in bfloat16",
        command: ["dpo-step.ts", "lora", "half", "--backend", "tensorflow"],
      },
      { name: "fdiv, wasm", command: ["dpo-step.ts", "lora"] },
    ],
  },
  sft: {
    title: `A supervised step of 16 rows of 128 tokens; ${setting}`,
    unit: "rows/s",
    work: 16,
    sides: [
      { name: "TRL", command: ["trl_sft.py"] },
      { name: "PyTorch", command: ["torch_sft.py"] },
      { name: "fdiv, tensorflow", command: ["sft-step.ts", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["sft-step.ts"] },
    ],
  },
  start: {
    title: `From a fresh process to the first DPO step done, 8 pairs of 64 + 64 tokens; ${setting}`,
    unit: "starts/s",
    work: 1,
    sides: [
      { name: "TRL", command: ["trl_step.py", "first"] },
      { name: "fdiv, tensorflow", command: ["dpo-step.ts", "shared", "first", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["dpo-step.ts", "shared", "first"] },
    ],
  },
  adamw: {
    title: "An AdamW update of 30 million parameters in 64 tensors",
    unit: "updates/s",
    work: 1,
    sides: [
      { name: "PyTorch, fused", command: ["torch_adamw.py", "fused"] },
      { name: "PyTorch, for each", command: ["torch_adamw.py", "foreach"] },
      { name: "PyTorch, plain", command: ["torch_adamw.py"] },
      { name: "fdiv, tensorflow", command: ["adamw.ts", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["adamw.ts"] },
    ],
  },
  load: {
    title: "Loading SmolLM2-135M's architecture from safetensors, F32 and BF16, into float32",
    unit: "loads/s",
    work: 1,
    prepare: ["made-model.ts"],
    sides: [
      { name: "transformers, F32", command: ["hf_load.py", "F32"] },
      { name: "transformers, BF16", command: ["hf_load.py", "BF16"] },
      { name: "fdiv, tensorflow, F32", command: ["load.ts", "F32", "--backend", "tensorflow"] },
      { name: "fdiv, tensorflow, BF16", command: ["load.ts", "BF16", "--backend", "tensorflow"] },
      {
        name: "fdiv, tensorflow, BF16 kept in bfloat16",
        command: ["load.ts", "BF16", "half", "--backend", "tensorflow"],
      },
      { name: "fdiv, wasm, F32", command: ["load.ts", "F32"] },
      { name: "fdiv, wasm, BF16", command: ["load.ts", "BF16"] },
    ],
  },
  "load-gguf": {
    title: "Loading SmolLM2-135M's architecture from GGUF, F16, into float32",
    unit: "loads/s",
    work: 1,
    prepare: ["made-model.ts"],
    sides: [
      { name: "transformers", command: ["hf_load.py", "gguf"] },
      { name: "gguf, dequantised", command: ["hf_load.py", "reader"] },
      { name: "fdiv, tensorflow", command: ["load.ts", "gguf", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["load.ts", "gguf"] },
    ],
  },
  "step-stock": {
    title: `The same step with stock TensorFlow.js operations on wasm`,
    unit: "pairs/s",
    work: 8,
    sides: [
      { name: "stock tfjs, wasm", command: ["dpo-step.ts", "stock"] },
      { name: "fdiv, wasm", command: ["dpo-step.ts", "shared"] },
    ],
  },
  head: {
    title: "The same step at a vocabulary of 49,152: all logits at once, and the chunked head",
    unit: "pairs/s",
    work: 8,
    sides: [
      { name: "all logits", command: ["dpo-step.ts", "shared", "--vocabulary", "49152", "--dense-head"] },
      { name: "chunked head", command: ["dpo-step.ts", "shared", "--vocabulary", "49152"] },
    ],
  },
  generate: {
    title: `Sampling 16 × 64 tokens after prompts of 64; ${setting}`,
    unit: "tokens/s",
    work: 16 * 64,
    sides: [
      { name: "transformers generate()", command: ["hf_generate.py"] },
      { name: "transformers generate(), greedy", command: ["hf_generate.py", "greedy"] },
      { name: "fdiv, tensorflow", command: ["generate.ts", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["generate.ts"] },
      { name: "fdiv, wasm, greedy", command: ["generate.ts", "greedy"] },
    ],
  },
  unet: {
    title:
      "A training step of a U-Net on 64 images of 28 × 28: channels 32, 64, 64, attention at the lowest level, 1.2 million parameters; EDM's loss, clipping, AdamW",
    unit: "images/s",
    work: 64,
    sides: [
      { name: "PyTorch, channels last", command: ["torch_unet_step.py"] },
      { name: "fdiv, tensorflow", command: ["unet-step.ts", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["unet-step.ts"] },
      { name: "fdiv, wasm, one thread", command: ["unet-step.ts", "--threads", "1"] },
    ],
  },
  "unet-stock": {
    title:
      "The same step with TensorFlow.js' own operations, on each backend as it comes; on cpu one image, counted 64 times",
    unit: "images/s",
    work: 64,
    sides: [
      { name: "fdiv, tensorflow", command: ["unet-step.ts", "--backend", "tensorflow"] },
      { name: "stock tfjs, tensorflow", command: ["unet-stock-step.ts", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["unet-step.ts"] },
      { name: "stock tfjs, wasm", command: ["unet-stock-step.ts", "--backend", "wasm"] },
      {
        name: "stock tfjs, cpu",
        command: ["unet-stock-step.ts", "--backend", "cpu", "--batch", "1", "--steps", "1"],
      },
    ],
  },
  "sample-stories": {
    title: "Sampling 64 × 64 tokens from the beginning; stories260K's architecture",
    unit: "tokens/s",
    work: 64 * 64,
    sides: [
      { name: "transformers generate()", command: ["hf_sample.py", "stories"] },
      { name: "fdiv, tensorflow", command: ["sample.ts", "stories", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["sample.ts", "stories"] },
    ],
  },
  "sample-llama": {
    title:
      "Sampling 64 × 64 tokens from the beginning; a Llama of hidden 256, 4 layers, vocabulary 4096, tied head",
    unit: "tokens/s",
    work: 64 * 64,
    sides: [
      { name: "transformers generate()", command: ["hf_sample.py", "llama"] },
      { name: "fdiv, tensorflow", command: ["sample.ts", "llama", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["sample.ts", "llama"] },
    ],
  },
  ...Object.fromEntries(
    [
      [
        "classify",
        "A training step of MiniLM-L6's architecture with a head; 16 texts of 33–63 tokens",
        "texts/s",
        16,
      ],
      ["embed", "Embeddings of the same texts", "texts/s", 16],
      [
        "t5",
        "A training step of T5-small's architecture; 16 such inputs, outputs of 16 tokens",
        "texts/s",
        16,
      ],
      [
        "t5-generate",
        "Sampling 16 × 32 tokens from T5-small's architecture after such inputs",
        "tokens/s",
        512,
      ],
    ].map(([kind, title, unit, work]) => [
      kind,
      {
        ...{ title, unit, work },
        sides: [
          { name: "transformers, PyTorch", command: ["torch_encoders.py", kind] },
          { name: "fdiv, tensorflow", command: ["encoders.ts", kind, "--backend", "tensorflow"] },
          { name: "fdiv, wasm", command: ["encoders.ts", kind] },
        ],
      },
    ]),
  ),
  "log-softmax": {
    title: "log-softmax of [256, 32000]",
    unit: "calls/s",
    work: 1,
    sides: [
      { name: "PyTorch", command: ["torch_log_softmax.py"] },
      { name: "stock tfjs, wasm", command: ["log-softmax.ts", "stock"] },
      { name: "fdiv, tensorflow", command: ["log-softmax.ts", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["log-softmax.ts"] },
    ],
  },
  "log-softmax-gradient": {
    title: "log-softmax of [256, 32000] with its gradient",
    unit: "calls/s",
    work: 1,
    sides: [
      { name: "PyTorch", command: ["torch_log_softmax.py", "gradient"] },
      { name: "stock tfjs, wasm", command: ["log-softmax.ts", "stock", "gradient"] },
      { name: "fdiv, tensorflow", command: ["log-softmax.ts", "gradient", "--backend", "tensorflow"] },
      { name: "fdiv, wasm", command: ["log-softmax.ts", "gradient"] },
    ],
  },
  ...Object.fromEntries(
    ["", "-gradient"].map((suffix) => {
      const gradient = suffix ? ["gradient"] : [];
      const peer = (name, by) => ({ name, command: ["sinkhorn.py", "problems", by, ...gradient] });
      return [
        `sinkhorn${suffix}`,
        {
          title: `64 transport problems of 256 × 256, 20 iterations, λ = .1${suffix ? ", with the gradient in the cost" : ""}`,
          unit: "problems/s",
          work: 64,
          sides: [
            {
              name: "fdiv, tensorflow",
              command: ["sinkhorn.ts", "problems", ...gradient, "--backend", "tensorflow"],
            },
            { name: "fdiv, wasm (log domain)", command: ["sinkhorn.ts", "problems", ...gradient] },
            {
              name: "fdiv, wasm, one thread",
              command: ["sinkhorn.ts", "problems", ...gradient, "--threads", "1"],
            },
            peer("PyTorch, log domain", "torch-log"),
            peer("PyTorch, kernel domain", "torch-kernel"),
            peer("POT batch, log domain", "pot-log"),
            peer("POT batch, kernel domain", "pot-kernel"),
            peer("geomloss (annealed, gradient in the points)", "geomloss"),
            peer("JAX, log domain", "jax-log"),
            peer("JAX, kernel domain", "jax-kernel"),
          ],
        },
      ];
    }),
  ),
  ...Object.fromEntries(
    ["", "-gradient"].map((suffix) => {
      const gradient = suffix ? ["gradient"] : [];
      const peer = (name, by) => ({ name, command: ["sinkhorn.py", "sinkd", by, ...gradient] });
      return [
        `sinkd${suffix}`,
        {
          title: `The SinKD loss of [32, 32000] logits, L1 cost, T = 20${suffix ? ", with its gradient" : ""}`,
          unit: "calls/s",
          work: 1,
          sides: [
            {
              name: "fdiv, tensorflow",
              command: ["sinkhorn.ts", "sinkd", ...gradient, "--backend", "tensorflow"],
            },
            { name: "fdiv, wasm", command: ["sinkhorn.ts", "sinkd", ...gradient] },
            {
              name: "fdiv, wasm, one thread",
              command: ["sinkhorn.ts", "sinkd", ...gradient, "--threads", "1"],
            },
            peer("PyTorch, 20 normalisations", "torch-kernel"),
            peer("PyTorch, log domain", "torch-log"),
            peer("POT, unrolled", "pot-kernel"),
            peer("JAX, log domain", "jax-log"),
            peer("JAX, 20 normalisations", "jax-kernel"),
          ],
        },
      ];
    }),
  ),
};
