/**
 * The tree of a real, small Debian (or of whatever this host's apt installs), for tests that want
 * the truth. It is made once on a host and kept as a tar file; each test gets a copy of its own.
 */
import { existsSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram, runTool } from '../base/process.ts'
import { readAptOptions } from '../guests/apt-options.ts'
import { formatSources, readHostApt } from '../guests/apt-sources.ts'
import { findUserNamespace, whyNoUserNamespace } from '../remotes/user-namespace.ts'

/** Beside what is essential: what services, zones and names need. */
const PACKAGES = ['systemd', 'tzdata', 'procps']

/** Why no tree can be made here; undefined if one can. */
export async function whyNoDebianTree(): Promise<string | undefined> {
  const missing = ['mmdebstrap', 'bwrap', 'tar'].find((program) => !findProgram(program))
  if (missing !== undefined) return `needs ${missing}`
  if (process.geteuid?.() === 0) return undefined
  const why = await whyNoUserNamespace()
  return why === undefined ? undefined : `needs root or a user namespace: ${why}`
}

/**
 * Lays a fresh tree into `directory`, which must not be there.
 * `launcher` goes before every command that works on it, as `openTree` wants it too.
 */
export async function layDebianTree(directory: string): Promise<{ launcher: readonly string[] }> {
  const launcher = await findUserNamespace()
  const archive = await findArchive(launcher)
  await mkdir(directory)
  await runTool([...launcher, 'tar', '-x', '-p', '--numeric-owner', '-C', directory, '-f', archive])
  return { launcher }
}

/** Removes what `layDebianTree` laid. */
export async function removeDebianTree(directory: string): Promise<void> {
  await runTool([...(await findUserNamespace()), 'rm', '-rf', '--', directory])
}

async function findArchive(launcher: readonly string[]): Promise<string> {
  const { sources, distro, codename } = await readHostApt()
  const path = join(tmpdir(), `ingot-test-${distro}-${codename}-${process.getuid?.()}.tar`)
  if (existsSync(path)) return path
  const own = sources.filter(({ suites }) => suites.some((suite) => suite.startsWith(codename)))
  const list = `${path}.sources`
  const making = `${path}.making`
  await writeFile(list, formatSources(own, `/usr/share/keyrings/${distro}-archive-keyring.gpg`))
  try {
    await runTool([
      ...launcher,
      'mmdebstrap',
      '--mode=root',
      '--format=tar',
      '--variant=apt',
      '--skip=chroot/mount/sys',
      `--include=${PACKAGES.join(',')}`,
      ...(await readAptOptions()).map((option) => `--aptopt=${option}`),
      codename,
      making,
      list,
    ])
    await rename(making, path)
  } finally {
    await rm(list, { force: true })
    await rm(making, { force: true })
  }
  return path
}
