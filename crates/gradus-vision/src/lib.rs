//! gradus-vision
