//! A folder of pictures becomes a data set: written, read, changed at random, learnt from. Takes a second.
//!
//!     cargo run --release -p gradus-vision --example pictures

use std::path::Path;

use gradus_nn::optim::AdamW;
use gradus_train::error::file_error;
use gradus_train::{Classification, DataLoader, Dataset, Result, Trainer, confusion};
use gradus_vision::datasets::ImageSet;
use gradus_vision::models::{Options, build};
use gradus_vision::transforms::{
    ColorJitter, Compose, Normalize, RandomCrop, RandomHorizontalFlip,
};

fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("gradus-pictures-{}", std::process::id()));
    let result = write(&folder).and_then(|()| learn(&folder));
    let _ = std::fs::remove_dir_all(&folder);
    result
}

/// `across/0.png` …: bright stripes that lie or stand, 24 of each.
fn write(folder: &Path) -> Result<()> {
    for (class, down) in [("across", 1), ("down", 0)] {
        let class = folder.join(class);
        std::fs::create_dir_all(&class).map_err(|e| file_error("create", &class, e))?;
        for number in 0..24 {
            let bright = |y: usize, x: usize| (if down == 1 { y } else { x } + number) / 2 % 2 == 0;
            let value = |i: usize| {
                if bright(i / 16, i % 16) {
                    200
                } else {
                    (i * 37 % 90) as u8
                }
            };
            let grey: Vec<u8> = (0..256).map(value).collect();
            let path = class.join(format!("{number}.png"));
            let file = std::fs::File::create(&path).map_err(|e| file_error("create", &path, e))?;
            let written = png::Encoder::new(file, 16, 16)
                .write_header()
                .and_then(|mut writer| writer.write_image_data(&grey));
            written.map_err(|e| file_error("write", &path, std::io::Error::other(e)))?;
        }
    }
    Ok(())
}

fn learn(folder: &Path) -> Result<()> {
    let set = ImageSet::folder(folder)?;
    println!("{set:?}: {}", set.classes().join(", "));
    let normalize = || Normalize::new(&[0.4; 3], &[0.3; 3]);
    let changed = set.with_transform(
        Compose::new()
            .then(RandomCrop {
                padding: 2,
                ..RandomCrop::new(16, 16)
            })
            .then(RandomHorizontalFlip(0.5))
            .then(ColorJitter {
                brightness: 0.2,
                ..ColorJitter::default()
            })
            .then(normalize()?),
    );
    let loader = DataLoader::new(changed, 8)?.shuffle(true).seed(1);
    let mut model = build("cifar_resnet20", &Options::classes(2))?;
    Trainer::new(3).fit(
        &mut model,
        &mut AdamW::new(3e-3),
        &Classification::default(),
        &loader,
        None::<&DataLoader<ImageSet>>,
    )?;
    let plain = set.with_transform(normalize()?);
    let judge = DataLoader::new(plain, 48)?;
    print!("{}", confusion(&mut model, &judge, set.classes())?);
    println!("{} pictures", set.len());
    Ok(())
}
