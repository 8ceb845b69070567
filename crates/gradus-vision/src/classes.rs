//! Names of classes that published networks tell apart.

/// The 1,000 classes of ImageNet-1k in the networks' order: torchvision's names for WordNet's synsets.
///
/// ```
/// let names = gradus_vision::classes::imagenet();
/// assert_eq!(names.len(), 1000);
/// assert_eq!((names[281], names[967]), ("tabby", "espresso"));
/// ```
pub fn imagenet() -> Vec<&'static str> {
    include_str!("../data/imagenet_classes.txt")
        .lines()
        .collect()
}
