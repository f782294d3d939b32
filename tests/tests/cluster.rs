//! Members on real disks, through the public API only.

mod cluster {
    mod failure;
    mod full_disk;
    mod golden;
    mod group;
    mod networks;
    mod opening;
    mod survival;
    mod two_worlds;
}
