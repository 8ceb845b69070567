//! gradus-nlp
