//! Makes the seeds and the dictionary anew, in the folder given: `cargo xtask fuzz-seeds`.

use std::error::Error;
use std::path::Path;

use trailgraph_fuzz::seeds::{all, dictionary};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let (folder, made) = (Path::new(&folder), all());
    let seeds = folder.join("seeds");
    if seeds.exists() {
        std::fs::remove_dir_all(&seeds)?;
    }
    for (name, bytes) in made {
        let path = seeds.join(name);
        path.parent().map(std::fs::create_dir_all).transpose()?;
        std::fs::write(path, bytes)?;
    }
    Ok(std::fs::write(folder.join("words.dict"), dictionary())?)
}
