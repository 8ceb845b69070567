//! A folder of a folder of images for each class, or a zip of one: listed at once, decoded in parallel, kept while it fits.
//!
//! The order is that of torchvision's `ImageFolder`: classes by name, then folders by path, then files by name.

use std::path::{Path, PathBuf};

use gradus_train::Result;
use gradus_train::error::{bad_file, file_error};
use rayon::prelude::*;

use super::archive::{MOST_FILE_BYTES, Zip};
use crate::decode;
use crate::image::Image;

/// Endings of images, as torchvision has them; the first three are read.
const IMAGES: [&str; 9] = [
    "jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp",
];
const READ: usize = 3;
/// Decoded images are kept as long as they fit into so many bytes.
const KEPT_BYTES: usize = 512 << 20;
/// Folders within folders beyond which a folder is taken to contain itself.
const DEEPEST: usize = 32;

/// Image files, the first of them decoded.
pub(super) struct Files {
    source: Source,
    places: Vec<Place>,
    kept: Vec<Image>,
}

enum Source {
    Folder(PathBuf),
    Zip(PathBuf, Zip),
}

/// A file: its path in the folder or zip, and its number in the zip.
#[derive(Clone)]
struct Place {
    path: PathBuf,
    index: usize,
}

/// What is in a folder.
pub(super) struct Listing {
    pub files: Files,
    pub labels: Vec<u32>,
    pub classes: Vec<String>,
}

impl Files {
    /// Where a file is, for people.
    pub fn name(&self, index: usize) -> String {
        let path = self.places.get(index).map_or(Path::new("?"), |p| &p.path);
        match &self.source {
            Source::Folder(folder) => folder.join(path).display().to_string(),
            Source::Zip(zip, _) => format!("{}: {}", zip.display(), path.display()),
        }
    }

    /// Height and width of the images, if all are kept and alike.
    pub fn size(&self) -> Option<[usize; 2]> {
        let size = |image: &Image| [image.height(), image.width()];
        let first = size(self.kept.first()?);
        let alike = self.kept.iter().all(|image| size(image) == first);
        (alike && self.kept.len() == self.places.len()).then_some(first)
    }

    /// The image of a file, bytes (3, H, W).
    pub fn image(&self, index: usize) -> Result<Image> {
        match self.kept.get(index) {
            Some(image) => Ok(image.clone()),
            None => self.decode(index),
        }
    }

    fn decode(&self, index: usize) -> Result<Image> {
        let place = &self.places[index];
        let bytes = match &self.source {
            Source::Folder(folder) => {
                let path = folder.join(&place.path);
                let size = std::fs::metadata(&path).map_or(0, |m| m.len());
                if size > MOST_FILE_BYTES {
                    let most = MOST_FILE_BYTES >> 20;
                    return Err(bad_file(
                        path,
                        format!("more than {most} MiB, too large for an image"),
                    ));
                }
                super::read(&path)?
            }
            Source::Zip(_, zip) => zip
                .read(place.index)
                .map_err(|e| bad_file(self.name(index), e))?,
        };
        let picture = decode::decode(&bytes).map_err(|e| bad_file(self.name(index), e))?;
        Image::from_rgba(&picture)
    }

    /// Decodes and keeps the first images, as many as fit into `room` bytes.
    fn keep(&mut self, mut room: usize) -> Result<()> {
        let together = 4 * rayon::current_num_threads();
        while self.kept.len() < self.places.len() {
            let range = self.kept.len()..self.places.len().min(self.kept.len() + together);
            // All of them, and then the first that failed: which error is seen does not depend on the threads.
            let images: Vec<Result<Image>> = range
                .into_par_iter()
                .map(|index| self.decode(index))
                .collect();
            for image in images {
                let image = image?;
                let size = image.channels() * image.height() * image.width();
                if size > room {
                    return Ok(());
                }
                room -= size;
                self.kept.push(image);
            }
        }
        Ok(())
    }
}

/// The classes and files of a folder or zip, the first of them decoded.
pub(super) fn list(path: &Path) -> Result<Listing> {
    let (source, found) = if path.is_dir() {
        (Source::Folder(path.to_owned()), of_folder(path)?)
    } else {
        let zip = Zip::open(path)?;
        let found = of_names(&zip.names());
        (Source::Zip(path.to_owned(), zip), found)
    };
    if found.is_empty() {
        return Err(bad_file(
            path,
            "no class folders; images are expected as CLASS/image.jpg",
        ));
    }
    let (mut places, mut labels, mut classes) = (Vec::new(), Vec::new(), Vec::new());
    for (class, mut files) in found {
        files.retain(|place| ending(&place.path).is_some());
        if files.is_empty() {
            return Err(bad_file(
                path.join(&class),
                "a class without images; put PNG or JPEG images into the folder, or remove it",
            ));
        }
        if let Some(other) = files.iter().find(|p| ending(&p.path) >= Some(READ)) {
            return Err(bad_file(
                path.join(&other.path),
                "only PNG and JPEG images are read; convert it to PNG first",
            ));
        }
        let key = |path: &Path| {
            let text =
                |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
            (
                text(path.parent().map(Path::as_os_str)),
                text(path.file_name()),
            )
        };
        files.sort_by_cached_key(|place| key(&place.path));
        labels.resize(labels.len() + files.len(), classes.len() as u32);
        places.append(&mut files);
        classes.push(class);
    }
    let mut files = Files {
        source,
        places,
        kept: Vec::new(),
    };
    files.keep(KEPT_BYTES)?;
    Ok(Listing {
        files,
        labels,
        classes,
    })
}

/// The folder or zip of a part in `folder`, by the first of these names there is.
pub(super) fn part(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    let of = |name: &&str| {
        let (directory, zip) = (folder.join(name), folder.join(format!("{name}.zip")));
        if directory.is_dir() {
            return Some(directory);
        }
        zip.is_file().then_some(zip)
    };
    names.iter().find_map(of)
}

/// Which of the endings a path has.
fn ending(path: &Path) -> Option<usize> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    IMAGES.iter().position(|e| *e == ending)
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}

type Classes = std::collections::BTreeMap<String, Vec<Place>>;

/// The folders in a folder, with all that is in each.
fn of_folder(folder: &Path) -> Result<Classes> {
    let mut classes = Classes::new();
    for (name, is_dir) in entries(folder)? {
        let class = name.to_string_lossy().into_owned();
        if is_dir && !is_hidden(&class) {
            let mut files = Vec::new();
            walk(folder, &PathBuf::from(name), 0, &mut files)?;
            classes.insert(class, files);
        }
    }
    Ok(classes)
}

fn walk(root: &Path, inner: &Path, depth: usize, files: &mut Vec<Place>) -> Result<()> {
    let here = root.join(inner);
    if depth > DEEPEST {
        return Err(bad_file(here, "too deep; does a link lead back up?"));
    }
    for (name, is_dir) in entries(&here)? {
        let path = inner.join(&name);
        if is_hidden(&name.to_string_lossy()) {
            continue;
        }
        if is_dir {
            walk(root, &path, depth + 1, files)?;
        } else {
            files.push(Place { path, index: 0 });
        }
    }
    Ok(())
}

/// What is in a folder, and whether it is a folder (also by a link).
fn entries(folder: &Path) -> Result<Vec<(std::ffi::OsString, bool)>> {
    let bad = |e| file_error("read the folder", folder, e);
    std::fs::read_dir(folder)
        .map_err(bad)?
        .map(|entry| {
            let entry = entry.map_err(bad)?;
            Ok((entry.file_name(), entry.path().is_dir()))
        })
        .collect()
}

/// The classes in a zip with these names. A folder that everything lies in is looked through.
fn of_names(names: &[String]) -> Classes {
    let mut parts: Vec<(usize, Vec<&str>)> = names
        .iter()
        .enumerate()
        .map(|(index, name)| (index, name.split('/').collect()))
        .filter(|(_, parts): &(usize, Vec<&str>)| !parts.iter().any(|p| is_hidden(p)))
        .collect();
    let is_image = |parts: &[&str]| parts.last().is_some_and(|p| ending(Path::new(p)).is_some());
    let mut skipped = 0;
    while let Some(first) = parts
        .iter()
        .find(|(_, p)| is_image(p))
        .map(|(_, p)| p[skipped])
    {
        let inside = |(_, p): &(usize, Vec<&str>)| {
            !is_image(p) || (p.len() > skipped + 2 && p[skipped] == first)
        };
        if !parts.iter().all(inside) {
            break;
        }
        parts.retain(|(_, p)| p.len() > skipped + 1 && p[skipped] == first);
        skipped += 1;
    }
    let mut classes = Classes::new();
    for (index, parts) in parts {
        // `class/` and `class/…/file`: what lies beside the class folders is not of the set.
        if let [class, _, ..] = &parts[skipped..] {
            let files = classes.entry((*class).to_owned()).or_default();
            files.push(Place {
                path: PathBuf::from(&names[index]),
                index,
            });
        }
    }
    classes
}
