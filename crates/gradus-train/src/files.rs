//! Writing small files, all or nothing, with the folder they belong in.

use std::path::Path;

use crate::error::{Result, file_error};

/// Creates the folder of a file where it is missing.
pub(crate) fn create_folder_of(path: &Path) -> Result<()> {
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|e| file_error("create the folder", folder, e))
        }
        None => Ok(()),
    }
}

/// Replaces the file at `path` by `bytes`: a crash at any moment leaves the old content or the new.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    create_folder_of(path)?;
    gradus_tensor::atomic_write(path, |file| file.write_all(bytes))
}

#[cfg(test)]
mod tests {
    #[test]
    fn replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file.txt");
        super::write(&path, b"one").unwrap();
        super::write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
        assert!(super::write(std::path::Path::new("/"), b"x").is_err());
    }
}
