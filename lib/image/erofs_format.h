/* EROFS on disk, as far as layers need it: 4 KiB blocks, nothing compressed, extended inodes, plain and inline
 * data. All numbers are little-endian. The kernel's Documentation/filesystems/erofs.rst tells the rest.
 *
 *     block 0      nothing, then at 1024 the superblock
 *     data         whole blocks of files, in the order in which they came
 *     sums         a CRC32C for each MiB of the file up to here; the file system does not refer to it
 *     inodes       64 bytes each, then extended attributes, then what does not fill a block of the data
 *     directories  those blocks of directories that are not inline
 *     attributes   what inherited directories got later (erofs_patch.c)
 */
#ifndef BOX_IMAGE_EROFS_FORMAT_H
#define BOX_IMAGE_EROFS_FORMAT_H

#include <stdint.h>

#define EROFS_BLOCK      4096u
#define EROFS_BLOCK_BITS 12
#define EROFS_SLOT       32u /* what an inode's number counts in */
#define EROFS_SUM_PIECE  (1u << 20)

#define EROFS_SUPER_AT 1024u
#define EROFS_MAGIC    0xe0f5e1e2u
/* Offsets in the superblock. */
#define SUPER_MAGIC     0u
#define SUPER_CHECKSUM  4u
#define SUPER_COMPAT    8u
#define SUPER_BITS      12u /* u8 */
#define SUPER_ROOT      14u /* u16 */
#define SUPER_INODES    16u /* u64 */
#define SUPER_BLOCKS    36u
#define SUPER_META      40u
#define SUPER_XATTR     44u
#define SUPER_UUID      48u
#define SUPER_SIZE      128u
#define SUPER_HAS_SUM   1u
#define SUPER_HAS_MTIME 2u

#define EROFS_INODE      64u
#define INODE_FORMAT     0u /* u16 */
#define INODE_XATTRS     2u /* u16 */
#define INODE_MODE       4u /* u16 */
#define INODE_SIZE       8u /* u64 */
#define INODE_START      16u /* the first block, or the device's number */
#define INODE_INO        20u
#define INODE_UID        24u
#define INODE_GID        28u
#define INODE_MTIME      32u /* u64 */
#define INODE_MTIME_NSEC 40u
#define INODE_NLINK      44u
#define FORMAT_EXTENDED  1u
#define FORMAT_PLAIN     (0u << 1)
#define FORMAT_INLINE    (2u << 1)

#define EROFS_XATTR_HEADER 12u /* filter u32, number of shared ones u8, nothing */
#define EROFS_XATTR_ENTRY  4u  /* length of the name u8, index of its prefix u8, length of the value u16 */
#define XATTR_USER         1u
#define XATTR_TRUSTED      4u
#define XATTR_SECURITY     6u

#define EROFS_DIRENT 12u /* inode u64, offset of the name u16, type u8, nothing */
enum erofs_type { EROFS_REG = 1, EROFS_DIR, EROFS_CHR, EROFS_BLK, EROFS_FIFO, EROFS_SOCK, EROFS_LNK };

static inline void put16(unsigned char *at, uint32_t value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
}

static inline void put32(unsigned char *at, uint32_t value)
{
    put16(at, value);
    put16(at + 2, value >> 16);
}

static inline void put64(unsigned char *at, uint64_t value)
{
    put32(at, (uint32_t)value);
    put32(at + 4, (uint32_t)(value >> 32));
}

static inline uint32_t get16(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t get32(const unsigned char *at)
{
    return get16(at) | get16(at + 2) << 16;
}

static inline uint64_t get64(const unsigned char *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

/* CRC32C (Castagnoli) without a last inversion, as EROFS has it; begins with ~0. By the processor's own
 * instruction where there is one. erofs_crc.c */
uint32_t box_crc32c(uint32_t crc, const void *data, uint64_t length);
/* The same by table. */
uint32_t box_crc32c_table(uint32_t crc, const void *data, uint64_t length);

#endif
