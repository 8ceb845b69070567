//! llama2.c's files: a Llama in one piece, seven whole numbers and then all weights as f32. Source: `export.py` (version 0) and
//! `run.c` of A. Karpathy's llama2.c. Its tokenizer is [`Tokenizer::llama2c`](crate::tokenizers::Tokenizer::llama2c).
//!
//! What differs from Hugging Face's layout: weights of all layers lie together by kind, and queries and keys are turned in pairs of
//! neighbours, where here a number's partner is half a head away; so their rows are put in another order.

use std::path::Path;

use gradus_nn::{Module, StateDict, init};
use gradus_tensor::{Error, Result, Tensor};

use super::llama::LlamaForCausalLM;
use super::llama_config::LlamaConfig;
use super::pretrained::Pretrained;

/// The header: seven i32.
const HEADER: usize = 28;

/// Numbers of a file, taken from the front.
struct Numbers<'f> {
    bytes: &'f [u8],
}

impl Numbers<'_> {
    fn take(&mut self, name: &str, dims: &[usize]) -> Result<Tensor> {
        let n = dims.iter().try_fold(4usize, |n, &d| n.checked_mul(d));
        let found = n.and_then(|n| self.bytes.split_at_checked(n));
        let (now, rest) = found.ok_or_else(|| {
            wrong(format!(
                "it ends within {name}, {dims:?} numbers: is it cut off?"
            ))
        })?;
        self.bytes = rest;
        let (words, _) = now.as_chunks::<4>();
        Tensor::from_vec(words.iter().map(|&w| f32::from_le_bytes(w)).collect(), dims)
    }
}

fn wrong(why: String) -> Error {
    Error::format("llama2.c", why)
}

impl LlamaForCausalLM {
    /// A model from the bytes of a file of llama2.c (version 0, such as `stories260K.bin`), in training mode.
    ///
    /// # Errors
    /// When the file is cut off or too long, or its sizes make no sense.
    pub fn llama2c(file: &[u8]) -> Result<Self> {
        let header = file
            .get(..HEADER)
            .ok_or_else(|| wrong(format!("{} bytes are too few for its header", file.len())))?;
        let (words, _) = header.as_chunks::<4>();
        let mut sizes = [0i64; 7];
        for (size, &word) in sizes.iter_mut().zip(words) {
            *size = i64::from(i32::from_le_bytes(word));
        }
        let [dim, hidden, layers, heads, kv_heads, vocab, context] = sizes;
        let positive = [dim, hidden, layers, heads, kv_heads, vocab.abs(), context];
        let sound = positive.iter().all(|&n| (1..1 << 28).contains(&n)) && layers <= 4096;
        if !sound || dim % heads != 0 || heads % kv_heads != 0 || dim / heads % 2 != 0 {
            let text = format!(
                "its header {sizes:?} makes no model; it should be width, hidden width, layers, heads, heads of keys and values, vocabulary, context"
            );
            return Err(wrong(text));
        }
        // A positive vocabulary says that the head is the table of tokens.
        let tied = vocab > 0;
        let [dim, hidden, layers, heads, kv_heads, vocab, context] = positive.map(|n| n as usize);
        let config = LlamaConfig {
            vocab_size: vocab,
            hidden_size: dim,
            intermediate_size: hidden,
            num_hidden_layers: layers,
            num_attention_heads: heads,
            num_key_value_heads: Some(kv_heads),
            max_position_embeddings: context,
            rms_norm_eps: 1e-5,
            tie_word_embeddings: tied,
            ..LlamaConfig::default()
        };
        let hs = dim / heads;
        let mut numbers = Numbers {
            bytes: &file[HEADER..],
        };
        let mut state = StateDict::new();
        let mut table = |name: &str, dims: &[usize]| {
            Ok::<_, Error>((name.to_owned(), numbers.take(name, dims)?))
        };
        let (name, tensor) = table("model.embed_tokens.weight", &[vocab, dim])?;
        state.insert(name, tensor);
        let kinds: [(&str, &[usize]); 9] = [
            ("input_layernorm", &[dim]),
            ("self_attn.q_proj", &[dim, dim]),
            ("self_attn.k_proj", &[kv_heads * hs, dim]),
            ("self_attn.v_proj", &[kv_heads * hs, dim]),
            ("self_attn.o_proj", &[dim, dim]),
            ("post_attention_layernorm", &[dim]),
            ("mlp.gate_proj", &[hidden, dim]),
            ("mlp.down_proj", &[dim, hidden]),
            ("mlp.up_proj", &[hidden, dim]),
        ];
        for (kind, dims) in kinds {
            for layer in 0..layers {
                let (name, tensor) = table(&format!("model.layers.{layer}.{kind}.weight"), dims)?;
                let turned = kind.ends_with("q_proj") || kind.ends_with("k_proj");
                state.insert(name, if turned { halves(&tensor, hs)? } else { tensor });
            }
        }
        let (name, tensor) = table("model.norm.weight", &[dim])?;
        state.insert(name, tensor);
        // Tables of cosines and sines, which are computed here.
        table("the cosines", &[context, hs / 2])?;
        table("the sines", &[context, hs / 2])?;
        if !tied {
            let (name, tensor) = table("lm_head.weight", &[vocab, dim])?;
            state.insert(name, tensor);
        }
        if !numbers.bytes.is_empty() {
            let text = format!(
                "{} bytes are left over after the weights",
                numbers.bytes.len()
            );
            return Err(wrong(text));
        }
        let mut model = init::skip(|| Self::build(&config))?;
        let report = model.load_state_dict(&state, false)?;
        if !report.mismatched.is_empty() || !report.unexpected.is_empty() {
            return Err(wrong(format!("its weights do not fit: {report}")));
        }
        Ok(model)
    }

    /// The same from a file.
    ///
    /// # Errors
    /// Also when it cannot be read; the error names it.
    pub fn read_llama2c(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path)
            .map_err(|e| Error::io("", format!("cannot read {}: {e}", path.display()), e))?;
        Self::llama2c(&bytes)
            .map_err(|e| Error::new(e.kind(), "", format!("{}: {e}", path.display())))
    }
}

/// Rows of heads (nh · hs, C) from pairs of neighbours to pairs half a head apart.
fn halves(weight: &Tensor, hs: usize) -> Result<Tensor> {
    let (half, dims) = (hs as isize / 2, weight.shape().clone());
    let pairs = weight.reshape([-1, half, 2, dims[1] as isize])?;
    pairs.transpose(1, 2)?.contiguous()?.reshape(dims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Generation, generate};

    /// A file of one layer, two heads of two numbers that share their keys, and a vocabulary of three.
    fn file(vocab: i32) -> Vec<u8> {
        let header = [4, 6, 1, 2, 1, vocab, 8];
        let table = 12;
        let layer = 4 + 16 + 8 + 8 + 16 + 4 + 24 + 24 + 24;
        let head = if vocab < 0 { 12 } else { 0 };
        let n = table + layer + 4 + 16 + head;
        let mut file: Vec<u8> = header.into_iter().flat_map(i32::to_le_bytes).collect();
        file.extend((0..n).flat_map(|i| ((i * 7 % 11) as f32 * 0.1 - 0.5).to_le_bytes()));
        file
    }

    #[test]
    fn whole_files_are_read_and_lies_refused() {
        for vocab in [3, -3] {
            let good = file(vocab);
            let model = LlamaForCausalLM::llama2c(&good).unwrap();
            assert_eq!(model.config().tie_word_embeddings, vocab > 0);
            assert_eq!(
                generate(&model, &[1], &Generation::default())
                    .unwrap()
                    .len(),
                8
            );
            for end in 0..good.len() {
                assert!(LlamaForCausalLM::llama2c(&good[..end]).is_err(), "{end}");
            }
            let long = [&good[..], &[0]].concat();
            let error = LlamaForCausalLM::llama2c(&long).unwrap_err().to_string();
            assert!(error.contains("1 bytes are left over"), "{error}");
            for at in 0..7 {
                for lie in [0, -1, 3, i32::MAX, i32::MIN] {
                    let mut lying = good.clone();
                    lying[4 * at..4 * at + 4].copy_from_slice(&i32::to_le_bytes(lie));
                    if lying != good && !(at == 5 && lie == 3) {
                        assert!(LlamaForCausalLM::llama2c(&lying).is_err(), "{at}: {lie}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_a_head_are_put_in_halves() {
        let weight = Tensor::arange(0, 8, 1, gradus_tensor::DType::F32).unwrap();
        let rows = halves(&weight.reshape([8, 1]).unwrap(), 4).unwrap();
        let rows = rows.to_vec::<f32>().unwrap();
        assert_eq!(rows, [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
    }

    /// The 260,000 parameters learnt from little stories, against the formulas of `run.c` written down once more in PyTorch, in f64.
    #[test]
    fn stories_are_continued_as_by_the_reference() {
        let Some(data) = std::env::var_os("GRADUS_DATA") else {
            println!("skipped: no GRADUS_DATA");
            return;
        };
        let path = Path::new(&data).join("pretrained/stories260k/stories260K.bin");
        let mut model = LlamaForCausalLM::read_llama2c(path).unwrap();
        model.eval();
        let options = Generation {
            max_new_tokens: 24,
            ..Generation::default()
        };
        let expected = [
            461, 461, 401, 401, 401, 461, 378, 455, 473, 456, 435, 299, 362, 409, 283, 264, 283,
            452, 288, 13, 431, 431, 431, 431,
        ];
        assert_eq!(generate(&model, &[1], &options).unwrap(), expected);
    }
}
