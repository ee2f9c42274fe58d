/** `download`. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { fetchFile } from '../../bytes/fetch-file.ts'
import { MiB } from '../../base/units.ts'
import type { Remote } from '../../remotes/remote.ts'
import { sendFile } from '../../remotes/send-file.ts'
import { defineValidator, type Difference, type Scene } from '../validator.ts'
import { listTop, toTar } from './_archives.ts'
import {
  attributeKeys,
  type AttributeOptions,
  compareAttributes,
  resolveAttributes,
} from './_attributes.ts'
import { demandText, expectText, isGuestPath } from './_texts.ts'
import { Type } from '../../schema/type.ts'

interface DownloadOptions extends AttributeOptions {
  url: string
  sha256: string
  to?: string
  unpack?: string
  strip?: number
}

/** Larger files are digested in the guest. */
const MAX_READ = 64 * MiB
/** What was unpacked where is written down here, since the archive itself does not stay. */
const STAMPS = '/var/lib/ingot/downloads'
const MAX_TOP = 200

export const download = defineValidator<DownloadOptions>({
  name: 'download',
  summary: 'a file from the web, or what is in an archive',
  description: `This host fetches it, once, into its cache; the guest needs no network and no \`curl\`. The SHA-256 is mandatory: what is not exactly
that is not used. \`to\` puts the file there; \`unpack\` unpacks a tar archive (plain, gzip, xz, zstd, bzip2) or a zip archive into a directory,
owned by root, without its first \`strip\` directories.`,
  example: `
- download:
    url: https://downloads.example.org/tool-1.2.tar.gz
    sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    unpack: /opt/tool
    strip: 1`,
  schema: Type.Object(
    {
      url: Type.String({ minLength: 1, description: 'where it is: https or http' }),
      sha256: Type.String({ minLength: 1, description: 'its SHA-256, 64 hexadecimal digits' }),
      to: Type.Optional(Type.String({ minLength: 1, description: 'the file it becomes' })),
      unpack: Type.Optional(
        Type.String({ minLength: 1, description: 'the directory it is unpacked into' }),
      ),
      strip: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: 20,
          description: 'how many leading directories of the names in the archive are left out',
        }),
      ),
      ...attributeKeys,
    },
    { additionalProperties: false },
  ),
  templated: true,
  load: (spec, loading) => {
    expectText(loading, ['url'], spec.url, isUrl)
    expectText(loading, ['sha256'], spec.sha256, isDigest)
    expectText(loading, ['to'], spec.to, isGuestPath)
    expectText(loading, ['unpack'], spec.unpack, isGuestPath)
    if ((spec.to === undefined) === (spec.unpack === undefined))
      loading.fault([], "wanted 'to' (a file) or 'unpack' (a directory), and not both")
    if (spec.to !== undefined && spec.strip !== undefined)
      loading.fault(['strip'], "'strip' is for archives; wanted 'unpack' with it")
    for (const key of ['owner', 'group', 'mode'] as const)
      if (spec.unpack !== undefined && spec[key] !== undefined)
        loading.fault([key], `'${key}' is for a single file; wanted 'to' with it`)
    return spec
  },
  title: ({ url, to, unpack }) => `download ${posix.basename(url)} to ${to ?? unpack}`,
  check: async (options, scene) => {
    demandText(options.url, isUrl)
    const sha256 = demandText(options.sha256, isDigest).toLowerCase()
    return options.unpack === undefined
      ? await compareFile(options, sha256, scene)
      : await compareUnpacked(demandText(options.unpack, isGuestPath), sha256, scene.remote)
  },
  apply: async (options, scene) => {
    const { remote, context, cacheDir, webRules: rules } = scene
    const { url, sha256 } = options
    const directory = join(cacheDir, 'downloads')
    const path = await fetchFile({ url, sha256, directory, rules }, context)
    if (options.unpack !== undefined) return await unpack(options, options.unpack, path, scene)
    const attributes = await resolveAttributes(remote, options)
    await sendFile(remote, path, options.to ?? '', attributes, context)
  },
})

async function compareFile(
  options: DownloadOptions,
  sha256: string,
  { remote }: Scene,
): Promise<Difference[]> {
  const path = demandText(options.to ?? '', isGuestPath)
  const stat = await remote.stat(path)
  if (stat?.type !== 'file')
    return [{ what: path, expected: 'a file', found: stat ? `a ${stat.type}` : 'nothing' }]
  const found = await digestOf(remote, path, stat.size)
  const differences = compareAttributes(path, stat, await resolveAttributes(remote, options))
  return found === sha256
    ? differences
    : [{ what: `SHA-256 of ${path}`, expected: sha256, found }, ...differences]
}

async function digestOf(remote: Remote, path: string, size: number): Promise<string> {
  if (size > MAX_READ)
    return (await remote.runOk({ argv: ['sha256sum', '--', path] })).slice(0, 64).toLowerCase()
  const content = (await remote.readFile(path, MAX_READ)) ?? new Uint8Array()
  return createHash('sha256').update(content).digest('hex')
}

interface Stamp {
  url: string
  sha256: string
  unpack: string
  /** Names at the top of what was unpacked. */
  top: string[]
}

function stampPath(directory: string, sha256: string): string {
  const place = createHash('sha256').update(directory).digest('hex').slice(0, 16)
  return `${STAMPS}/${sha256}-${place}.json`
}

async function readStamp(remote: Remote, path: string): Promise<Stamp | undefined> {
  try {
    const stamp = JSON.parse((await remote.readText(path, MiB)) ?? 'null') as Stamp | null
    return stamp && Array.isArray(stamp.top) ? stamp : undefined
  } catch {
    return undefined // a stamp that cannot be read says nothing
  }
}

async function compareUnpacked(
  directory: string,
  sha256: string,
  remote: Remote,
): Promise<Difference[]> {
  const stamp = await readStamp(remote, stampPath(directory, sha256))
  const what = `archive ${sha256.slice(0, 12)}… in ${directory}`
  if (!stamp || stamp.unpack !== directory)
    return [{ what, expected: 'unpacked', found: 'not unpacked' }]
  const names = (await remote.list(directory)) ?? []
  const missing = stamp.top.filter((name) => !names.includes(name))
  if (missing.length === 0) return []
  return [{ what, expected: 'unpacked', found: `without ${missing.slice(0, 5).join(', ')}` }]
}

async function unpack(
  options: DownloadOptions,
  directory: string,
  path: string,
  scene: Scene,
): Promise<void> {
  const { remote, context, cacheDir } = scene
  const { url, strip = 0 } = options
  const sha256 = options.sha256.toLowerCase()
  const scratch = await mkdtemp(join(cacheDir, 'unpack-'))
  const archive = posix.join(directory, `.ingot-${context.newId()}.tar`)
  try {
    const tar = await toTar(path, scratch, context.signal)
    const top = await listTop(tar, strip, MAX_TOP)
    await remote.makeDirectory(directory)
    await sendFile(remote, tar, archive, { mode: 0o600 }, context)
    // tar refuses names with `..` and makes links only when all files are written.
    await remote.runOk({
      argv: ['tar', '-x', '-o', '-f', archive, '-C', directory].concat(
        strip > 0 ? [`--strip-components=${strip}`] : [],
      ),
      timeoutMs: scene.commandTimeoutMs,
    })
    await dropOtherStamps(remote, directory, top)
    const stamp: Stamp = { url, sha256, unpack: directory, top }
    await remote.writeFile(stampPath(directory, sha256), `${JSON.stringify(stamp, null, 2)}\n`)
  } finally {
    await remote.remove(archive)
    await rm(scratch, { recursive: true, force: true })
  }
}

/** What was unpacked earlier under the same names is there no more as it was. */
async function dropOtherStamps(
  remote: Remote,
  directory: string,
  top: readonly string[],
): Promise<void> {
  for (const name of (await remote.list(STAMPS)) ?? []) {
    const path = posix.join(STAMPS, name)
    const stamp = await readStamp(remote, path)
    if (stamp?.unpack === directory && stamp.top.some((one) => top.includes(one)))
      await remote.remove(path)
  }
}

function isUrl(url: string): string | undefined {
  if (!/^https?:\/\/[!-~]+$/.test(url) || !URL.canParse(url))
    return `'${url}' cannot be downloaded; wanted https://… or http://…`
  const { username, password } = new URL(url)
  return username === '' && password === ''
    ? undefined
    : 'a name or password in the address of a download would be seen by others'
}

function isDigest(text: string): string | undefined {
  return /^[0-9a-f]{64}$/i.test(text)
    ? undefined
    : `'${text}' is no SHA-256; wanted 64 hexadecimal digits`
}
