//! Tokenizers as a user meets them: there and back for any text, files of every kind, hostile ones, real ones.

use std::path::PathBuf;

use gradus_nlp::tokenizers::*;
use proptest::prelude::*;

const WORDS: &str =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\ncat\n##s\nun\n##happy\n.\n,\n'\ncafe\n中\ni\n";

fn bert() -> Tokenizer {
    Tokenizer::bert(WORDS, true).unwrap()
}

/// A small byte-level tokenizer, learnt from a few words in several scripts.
fn bytes(pattern: Option<Pattern>) -> Tokenizer {
    let trainer = BpeTrainer {
        pattern,
        ..BpeTrainer::new(400)
    };
    let text = "the cat sat on the mat; the cats sat. 12345 été été 漢字漢字 don't   spaces\n\n";
    Tokenizer::byte_level(trainer.train([text, text]).unwrap(), pattern, &[]).unwrap()
}

/// Offsets lie on character boundaries, in order, and within the text.
fn check_offsets(encoding: &Encoding, text: &str) {
    let mut last = (0, 0);
    for (offset, special) in encoding.offsets.iter().zip(&encoding.special_tokens_mask) {
        if *special == 1 {
            assert_eq!(*offset, (0, 0));
            continue;
        }
        assert!(
            text.get(offset.0..offset.1).is_some(),
            "{offset:?} of {text:?}"
        );
        assert!(
            last.0 <= offset.0 && last.1 <= offset.1,
            "{last:?} {offset:?} of {text:?}"
        );
        last = *offset;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_there_and_back(text in any::<String>(), more in "[ a-zé\\n'0-9]{0,40}") {
        let text = text + &more;
        for pattern in [None, Some(Pattern::Gpt2), Some(Pattern::Cl100k), Some(Pattern::Llama3), Some(Pattern::Qwen2)] {
            let tokenizer = bytes(pattern);
            let encoding = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(&tokenizer.decode(&encoding.ids, false).unwrap(), &text);
            prop_assert_eq!(&tokenizer.encode_ids(&text, EncodeOptions::ordinary()).unwrap(), &encoding.ids);
            check_offsets(&encoding, &text);
            let mut stream = tokenizer.decode_stream(false);
            let mut streamed = String::new();
            for id in &encoding.ids {
                streamed += &stream.push(*id).unwrap();
            }
            streamed += &stream.finish().unwrap();
            prop_assert_eq!(&streamed, &text);
        }
    }

    #[test]
    fn any_text_through_bert(text in any::<String>(), more in "[ a-zé'.,]{0,40}") {
        let text = text + &more;
        let encoding = bert().encode(&text).unwrap();
        prop_assert_eq!((encoding.ids[0], encoding.ids[encoding.len() - 1]), (2, 3));
        check_offsets(&encoding, &text);
    }

    #[test]
    fn any_bytes_there_and_back(piece in any::<Vec<u8>>()) {
        let Model::Bpe(bpe) = bytes(None).model().clone() else { unreachable!() };
        let ids = bpe.encode(&piece).unwrap();
        prop_assert_eq!(bytes(None).decode_bytes(&ids, false).unwrap(), piece);
    }

    #[test]
    fn streaming_any_ids_is_decoding_them(ids in prop::collection::vec(0u32..400, 0..60)) {
        let tokenizer = bytes(None);
        let ids: Vec<u32> = ids.into_iter().filter(|id| tokenizer.token(*id).is_some()).collect();
        let mut stream = tokenizer.decode_stream(false);
        let mut streamed = String::new();
        for id in &ids {
            streamed += &stream.push(*id).unwrap();
        }
        streamed += &stream.finish().unwrap();
        prop_assert_eq!(streamed, tokenizer.decode(&ids, false).unwrap());
    }

    #[test]
    fn no_json_panics(text in "[\\[\\]{}:,\"a-z0-9\\\\. ]{0,80}") {
        let _ = Tokenizer::from_json(&text);
        let _ = Tokenizer::gpt2(&text, &text);
        let _ = Tokenizer::tiktoken(&text, Pattern::Gpt2, &[]);
        let _ = Tokenizer::bert(&text, true);
    }
}

#[test]
fn pairs_truncation_and_padding() {
    let mut tokenizer = bert();
    let pair = tokenizer.encode_pair("The cats", "the [MASK].").unwrap();
    assert_eq!(
        tokenizer.tokens(&pair),
        [
            "[CLS]", "the", "cat", "##s", "[SEP]", "the", "[MASK]", ".", "[SEP]"
        ]
    );
    assert_eq!(pair.type_ids, [0, 0, 0, 0, 0, 1, 1, 1, 1]);
    assert_eq!(pair.offsets[5..8], [(0, 3), (4, 10), (10, 11)]);
    tokenizer.set_truncation(Some(Truncation::new(4)));
    tokenizer.set_padding(Some(Padding::longest("[PAD]", 0)));
    let batch = tokenizer.encode_batch(&["the cats.", "the", ""]).unwrap();
    let ids: Vec<_> = batch.iter().map(|e| e.ids.clone()).collect();
    assert_eq!(ids, [[2, 5, 6, 3], [2, 5, 3, 0], [2, 3, 0, 0]]);
    assert_eq!(batch[1].attention_mask, [1, 1, 1, 0]);
    let [ids, types, mask] = stack(&batch).unwrap();
    assert_eq!(
        (ids.dims(), types.dims(), mask.dims()),
        (&[3, 4][..], &[3, 4][..], &[3, 4][..])
    );
    tokenizer.set_truncation(Some(Truncation::new(1)));
    assert!(
        tokenizer
            .encode("the")
            .unwrap_err()
            .to_string()
            .contains("no room")
    );
    let other = Encoding::default();
    assert!(stack(&[batch[0].clone(), other]).is_err());
}

#[test]
fn special_tokens_in_the_text() {
    let tokenizer = bert();
    assert_eq!(tokenizer.encode("[SEP]").unwrap().ids, [2, 3, 3]);
    let ordinary = tokenizer
        .encode_ids("[SEP]", EncodeOptions::ordinary())
        .unwrap();
    assert_eq!(ordinary, [1, 1, 1]); // [ sep ], none of them in the vocabulary
    assert_eq!(
        tokenizer.decode(&[2, 5, 6, 7, 10, 3], true).unwrap(),
        "the cats."
    );
    assert_eq!(
        tokenizer.decode(&[2, 5, 3], false).unwrap(),
        "[CLS] the [SEP]"
    );
    assert!(
        tokenizer
            .decode(&[99], true)
            .unwrap_err()
            .to_string()
            .contains("id 99")
    );
}

#[test]
fn saved_is_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = "The cats, unhappy in the café: don't 中\u{200b}  12345\n";
    let mut small = bert();
    small.set_padding(Some(Padding::longest("[PAD]", 0)));
    small.set_truncation(Some(Truncation::new(9)));
    for tokenizer in [
        small,
        bytes(Some(Pattern::Gpt2)),
        bytes(Some(Pattern::Cl100k)),
        bytes(None),
    ] {
        let path = tokenizer.save(folder.path()).unwrap();
        assert!(path.ends_with("tokenizer.json"));
        let loaded = Tokenizer::from_file(folder.path()).unwrap();
        assert_eq!(
            loaded.encode(text).unwrap(),
            tokenizer.encode(text).unwrap()
        );
        assert_eq!(loaded.to_json(), tokenizer.to_json());
    }
}

#[test]
fn files_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let open = || Tokenizer::from_file(folder.path());
    assert!(
        open()
            .unwrap_err()
            .to_string()
            .contains("holds no tokenizer")
    );
    let ranks: Vec<String> = (0..=255u8)
        .map(|b| {
            format!(
                "{} {b}
",
                base64(b)
            )
        })
        .collect();
    let ranks = ranks.concat();
    write("r50k_base.tiktoken", &(ranks.clone() + "YWI= 256\n"));
    assert_eq!(
        open().unwrap().encode("ab<|endoftext|>").unwrap().ids,
        [256, 50256]
    );
    write(
        "vocab.json",
        r#"{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}"#,
    );
    assert!(open().unwrap_err().to_string().contains("merges.txt"));
    write("merges.txt", "#version: 0.2\na b\n");
    assert_eq!(
        open().unwrap().encode("abb<|endoftext|>").unwrap().ids,
        [2, 1, 3]
    );
    write("vocab.txt", WORDS);
    assert_eq!(open().unwrap().encode("CATS").unwrap().ids, [2, 6, 7, 3]);
    write("tokenizer_config.json", r#"{"do_lower_case": false}"#);
    assert_eq!(open().unwrap().encode("CATS").unwrap().ids, [2, 1, 3]);
    write("o200k_base.tiktoken", &ranks);
    let o200k = Tokenizer::from_file(folder.path().join("o200k_base.tiktoken"));
    assert!(o200k.unwrap_err().to_string().contains("not supported"));
}

/// One byte in base64.
fn base64(byte: u8) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |n: u8| DIGITS[n as usize] as char;
    format!("{}{}==", digit(byte >> 2), digit((byte & 3) << 4))
}

#[test]
fn hostile_files_are_errors_that_say_why() {
    let model = r#""model": {"type": "WordPiece", "unk_token": "a", "vocab": {"a": 0}}"#;
    for (json, why) in [
        (String::new(), "not a tokenizer"),
        ("[1".into(), "not a tokenizer"),
        (r#"{"model": {"vocab": {"a": 0, "a": 1}}}"#.into(), "comes twice"),
        (r#"{"model": {"vocab": {"a": 0, "b": 0}}}"#.into(), "two tokens"),
        (r#"{"model": {"vocab": {"a": 4294967295}}}"#.into(), "gaps"),
        (r#"{"model": {"vocab": {"a": -1}}}"#.into(), "not a tokenizer"),
        (r#"{"model": {"type": "WordLevel", "vocab": {"a": 0}}}"#.into(), "\"WordLevel\" is not supported"),
        (r#"{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}}"#.into(), "\"ab\""),
        (r#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]}}"#.into(), "not two tokens"),
        (r#"{"model": {"type": "BPE", "vocab": {"a": 0, "aa": 1}, "merges": ["a a", ["a", "a"]]}}"#.into(), "comes twice"),
        (r#"{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", ""]]}}"#.into(), "empty side"),
        (r#"{"model": {"type": "BPE", "dropout": 0.1, "vocab": {"a": 0}, "merges": []}}"#.into(), "dropout"),
        (r#"{"model": {"type": "Unigram", "unk_id": 7, "vocab": [["a", -1.0]]}}"#.into(), "id 7"),
        (format!(r#"{{{model}, "normalizer": {{"type": "Precompiled"}}}}"#), "normalizer \"Precompiled\" is not supported"),
        (format!(r#"{{{model}, "normalizer": {{"lowercase": true}}}}"#), "normalizer has no \"type\""),
        (format!(r#"{{{model}, "pre_tokenizer": {{"type": "UnicodeScripts"}}}}"#), "pre_tokenizer \"UnicodeScripts\""),
        (format!(r#"{{{model}, "pre_tokenizer": {{"type": "Split", "pattern": {{"Regex": "x+"}}}}}}"#), "\"x+\""),
        (format!(r#"{{{model}, "decoder": {{"type": "CTC"}}}}"#), "decoder \"CTC\""),
        (format!(r#"{{{model}, "post_processor": {{"type": "Else"}}}}"#), "post_processor \"Else\""),
        (format!(r#"{{{model}, "added_tokens": [{{"id": 5, "content": "a"}}]}}"#), "has id 0"),
        (format!(r#"{{{model}, "added_tokens": [{{"id": 0, "content": "b"}}]}}"#), "another token"),
        (format!(r#"{{{model}, "added_tokens": [{{"id": 5, "content": ""}}]}}"#), "is empty"),
        (format!(r#"{{{model}, "truncation": {{"max_length": 8, "stride": 2}}}}"#), "stride"),
        (format!(r#"{{{model}, "padding": {{"strategy": {{"Fixed": 99999999999}}}}}}"#), "strategy"),
    ] {
        let error = Tokenizer::from_json(&json).unwrap_err().to_string();
        assert!(error.contains(why), "{json}: {error}");
    }
    let long = "a".repeat(5000);
    for json in [
        format!(r#"{{"model": {{"type": "WordPiece", "vocab": {{"{long}": 0}}}}}}"#),
        format!(r#"{{"model": {{"type": "Unigram", "vocab": [["{long}", -1.0]]}}}}"#),
        format!(r#"{{{model}, "added_tokens": [{{"id": 5, "content": "{long}"}}]}}"#),
    ] {
        let error = Tokenizer::from_json(&json).unwrap_err().to_string();
        assert!(error.contains("bytes") && error.len() < 6000, "{error}");
    }
    let deep = format!(
        r#"{{{model}, "normalizer": {}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(Tokenizer::from_json(&deep).is_err());
    assert!(
        Tokenizer::bert("a\nb", true)
            .unwrap_err()
            .to_string()
            .contains("[UNK]")
    );
    assert!(
        Tokenizer::bert("[UNK]\n[CLS]\n[SEP]\na\na", true)
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
    assert!(
        Tokenizer::gpt2("{\"a\": 0}", "a")
            .unwrap_err()
            .to_string()
            .contains("line 1")
    );
    assert!(
        Tokenizer::tiktoken("!!!! 0", Pattern::Gpt2, &[])
            .unwrap_err()
            .to_string()
            .contains("line 1")
    );
    assert!(
        Tokenizer::tiktoken("YQ== 0", Pattern::Gpt2, &[])
            .unwrap_err()
            .to_string()
            .contains("0x00")
    );
}

/// A megabyte of anything in far less than the minutes that looking at all pairs for each merge would take.
#[test]
fn long_strings_are_no_attack() {
    let megabyte = 1 << 20;
    let merging = bytes(None);
    for unit in ["a", "ab", "the cat", " ", "\n", "'", "<", "é", "漢"] {
        let text = unit.repeat(megabyte / unit.len());
        for pattern in [Pattern::Gpt2, Pattern::Cl100k] {
            let tokenizer = bytes(Some(pattern));
            let ids = tokenizer
                .encode_ids(&text, EncodeOptions::default())
                .unwrap();
            assert_eq!(tokenizer.decode(&ids, false).unwrap().len(), text.len());
        }
        assert!(!merging.encode(&text).unwrap().is_empty());
        assert!(bert().encode(&text).unwrap().len() >= 2);
    }
    let trainer = BpeTrainer::plain(300);
    assert!(trainer.train(["ab".repeat(megabyte / 2)]).is_ok());
}

/// The real GPT-2, where its files are.
#[test]
fn gpt2_of_openai() {
    let folder =
        std::env::var_os("GRADUS_DATA").map(|data| PathBuf::from(data).join("tokenizers/gpt2"));
    let Some(folder) = folder.filter(|folder| folder.is_dir()) else {
        println!("skipped: no GRADUS_DATA with tokenizers/gpt2");
        return;
    };
    let tokenizer = Tokenizer::from_file(folder).unwrap();
    assert_eq!(tokenizer.vocab_size(), 50257);
    let encoding = tokenizer
        .encode("Hello world, don't stop!<|endoftext|>")
        .unwrap();
    assert_eq!(encoding.ids, [15496, 995, 11, 836, 470, 2245, 0, 50256]);
    assert_eq!(tokenizer.token(995).as_deref(), Some("Ġworld"));
}
