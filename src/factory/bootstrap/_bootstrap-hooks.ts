/** What mmdebstrap calls before and after it installs packages, and the files these calls bring in. */
import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { BaseKey } from '../../recipes/base-schema.ts'
import { formatSources, withoutPasswords } from '../../guests/apt-sources.ts'
import type { BuildSources } from './choose-sources.ts'
import type { OsJob } from './tree-builder.ts'
import { makeSystemFiles } from './system-files.ts'

/** Before packages: files that their scripts look at, and packages that need no download. */
const SETUP_HOOK = `#!/bin/sh
set -eu
umask 022
here=$(dirname "$0")
mkdir -p "$1/var/cache/apt/archives"
cp -R --reflink=auto "$here/packages/." "$1/var/cache/apt/archives/"
chmod -R u=rwX,go=rX "$here/before"
cp -R "$here/before/." "$1/"
`

/** After packages: the sources that the guest will live with, and no name server of this host. */
const CUSTOMIZE_HOOK = `#!/bin/sh
set -eu
umask 022
here=$(dirname "$0")
rm -f "$1"/etc/apt/sources.list.d/0000*.sources "$1/etc/resolv.conf"
chmod -R u=rwX,go=rX "$here/after"
cp -R "$here/after/." "$1/"
touch "$1/var/lib/apt/lists" # as new as the sources, to which they belong
`

export interface BootstrapFiles {
  setupHook: string
  customizeHook: string
  /** Sources for mmdebstrap itself. */
  sources: string
}

/** Puts the hooks and what they copy into the scratch directory; `packages` is a directory of them. */
export async function layBootstrapFiles(
  base: BaseKey,
  chosen: BuildSources,
  packages: string,
  { scratch, identity, fileSystem }: OsJob,
): Promise<BootstrapFiles> {
  await symlink(packages, join(scratch, 'packages'))
  for (const [path, text] of makeSystemFiles(base, identity, fileSystem))
    await write(join(scratch, 'before', path), text)
  const isArmoured = !chosen.keys.startsWith('/')
  const keyring = isArmoured ? await write(join(scratch, 'archive.asc'), chosen.keys) : chosen.keys
  const sources = `${base.distro}.sources`
  await write(
    join(scratch, 'after/etc/apt/sources.list.d', sources),
    formatSources(
      withoutPasswords(chosen.sources),
      await bringKeys(base, chosen, keyring, scratch),
    ),
  )
  return {
    setupHook: await write(join(scratch, 'before-packages'), SETUP_HOOK, 0o755),
    customizeHook: await write(join(scratch, 'after-packages'), CUSTOMIZE_HOOK, 0o755),
    sources: await write(join(scratch, sources), formatSources(chosen.sources, keyring)),
  }
}

/** Where the guest has the keys: the distribution's own come by package, others are brought in. */
async function bringKeys(
  base: BaseKey,
  { guestKeyring }: BuildSources,
  keyring: string,
  scratch: string,
): Promise<string> {
  if (basename(keyring).startsWith(`${base.distro}-archive-`)) return guestKeyring
  const inGuest = `/etc/apt/keyrings/${basename(keyring)}`
  const path = join(scratch, 'after', inGuest)
  await mkdir(dirname(path), { recursive: true })
  await copyFile(keyring, path)
  return inGuest
}

/** The path that was written; directories are made. */
async function write(path: string, text: string, mode = 0o644): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text)
  await chmod(path, mode)
  return path
}
