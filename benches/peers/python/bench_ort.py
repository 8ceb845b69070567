"""ONNX Runtime on the CPU: inference of networks exported by PyTorch with random weights, kept in ./onnx_models."""
from common import args, report
import os
import numpy as np
import onnxruntime as ort

HOME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "onnx_models")
MINILM = dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)


def export(kind, batch, path):
    import torch

    if kind == "resnet18":
        import torchvision

        net, x = torchvision.models.resnet18(), torch.rand(batch, 3, 224, 224)
    else:
        from transformers import BertConfig, BertModel

        sizes = MINILM if kind == "minilm" else {}
        bert = BertModel(BertConfig(attn_implementation="eager", **sizes), add_pooling_layer=False)

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.bert = bert

            def forward(self, ids):
                return self.bert(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state

        net, x = Net(), torch.randint(0, 30000, (batch, 128))
    torch.onnx.export(net.eval(), (x,), path, input_names=["x"], dynamo=False, opset_version=17)


def start(kind, batch):
    os.makedirs(HOME, exist_ok=True)
    path = os.path.join(HOME, f"{kind}_b{batch}.onnx")
    if not os.path.exists(path):
        export(kind, batch, path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    images = kind == "resnet18"
    x = rng.random((batch, 3, 224, 224), dtype=np.float32) if images else rng.integers(0, 30000, (batch, 128))
    feed = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feed)


for name, kind, batch in [
    ("resnet18_224_fwd_b1", "resnet18", 1), ("resnet18_224_fwd_b8", "resnet18", 8),
    ("bert_base_fwd_b1_s128", "bert", 1), ("bert_base_fwd_b8_s128", "bert", 8),
    ("minilm_l6_fwd_b1_s128", "minilm", 1), ("minilm_l6_fwd_b32_s128", "minilm", 32),
]:
    report("ort", "fw", "models", name, lambda: start(kind, batch))
