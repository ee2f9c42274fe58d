/** What the name of an operating system tells about how its packages are managed. */

/** Whether sources of packages are lines of sources.list. */
export function isDebianLike(osName: string): boolean {
  return /^(debian|ubuntu)/i.test(osName)
}

/** The command by which a system installs whatever its package manager can find by a word. */
export function installerOf(osName: string): string {
  if (isDebianLike(osName))
    return 'apt-get -q -y update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --'
  return /suse|^sle/i.test(osName)
    ? 'zypper --non-interactive install --'
    : '"$(command -v dnf || command -v yum)" -y install'
}
