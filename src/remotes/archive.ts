/**
 * Directories of which an archive of a guest's root has the directory itself but nothing in it: what
 * stands there lives only while the guest runs, or boots the one machine it is on.
 */
export const EMPTY_DIRECTORIES: readonly string[] = [
  '/boot/efi',
  '/dev',
  '/efi',
  '/proc',
  '/run',
  '/sys',
  '/tmp',
]

/** The same as patterns for a tar program that archives `.` in the root. */
export const EXCLUDED_PATTERNS: readonly string[] = EMPTY_DIRECTORIES.map((path) => `.${path}/*`)
