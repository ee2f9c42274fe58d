import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { makeContext } from '../../base/context.ts'
import { runTool } from '../../base/process.ts'
import { extractFromIso } from '../../machines/read-iso9660.ts'
import { templateOf } from '../../testing/template-of.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openWebServer, type WebServer } from '../../testing/web-server.ts'
import { OWNERS_REACH } from '../reach.ts'
import type { InstallSource } from '../template.ts'
import { makeCpio } from './cpio.ts'
import { type GatheredMedia, gatherMedia } from './gather-media.ts'
import type { InstallerOptions } from './installer-options.ts'
import { planInstallation } from './plan-install.ts'

const inDir = await tempDir()
const INITRD = gzipSync(makeCpio([{ path: 'init', content: Buffer.from('first') }]))
const PXE = '/images/pxeboot'

let runs = 0
async function gather(
  os: readonly [name: string, version: string],
  source: InstallSource,
  options: InstallerOptions = {},
): Promise<GatheredMedia & { readonly workDir: string }> {
  const workDir = inDir(`work-${runs++}`)
  await mkdir(workDir)
  const [name, version] = os
  const template = templateOf(undefined, {
    os: { name, version, arch: 'x86_64' },
    install: { source, diskSize: 0, rootPassword: 'x', productKey: null, kernelParameters: null },
  })
  const cache = { directory: inDir('media'), retries: 0, tell: () => {} }
  const scene = { context: makeContext(), reach: OWNERS_REACH, ...cache }
  const media = await gatherMedia(planInstallation({ template, options }), options, workDir, scene)
  return { ...media, workDir }
}

const treeAt = ({ url }: WebServer): InstallSource => ({ type: 'url', url: `${url}/` })

/** An installation medium, with these files. */
async function makeIso(name: string, files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tree = inDir(`${name}-tree`)
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(tree, path, '..'), { recursive: true })
    await writeFile(join(tree, path), content)
  }
  await runTool(['xorriso', '-as', 'mkisofs', '-quiet', '-R', '-o', inDir(name), tree])
  return await readFile(inDir(name))
}

test('kernel and initrd come out of the tree, and the answer file goes behind the initrd', async () => {
  await using server = await openWebServer({
    [`${PXE}/vmlinuz`]: 'kernel',
    [`${PXE}/initrd.img`]: INITRD,
  })
  const { kernel, cdroms, files, digests } = await gather(['Fedora', '42'], treeAt(server))
  assert.equal(await readFile(kernel?.path ?? '', 'utf8'), 'kernel')
  assert.match(kernel?.commandLine ?? '', /inst\.ks=file:\/ks\.cfg inst\.text inst\.repo=http/)
  assert.deepEqual([cdroms, files.size, digests.length], [[], 0, 2])
  const initrd = await readFile(kernel?.initrd ?? '')
  assert.deepEqual(initrd.subarray(0, INITRD.length), INITRD)
  const second = initrd.subarray(Math.ceil(INITRD.length / 4) * 4)
  const archive = await runTool(['gzip', '-dc'], { input: second })
  const listed = await runTool(['/bin/busybox', 'cpio', '-t'], { input: archive })
  assert.equal(listed.toString().trim(), 'ks.cfg')
})

test('a file over HTTP lies at an address that nobody guesses, and nothing else does', async () => {
  await using server = await openWebServer({
    [`${PXE}/vmlinuz`]: 'kernel',
    [`${PXE}/initrd.img`]: INITRD,
  })
  const given = { answer_via: 'http', install_script: 'mine' } as const
  const { kernel, files } = await gather(['Rocky', '9'], treeAt(server), given)
  const [[path, content] = []] = files
  assert.match(path ?? '', /^\/[\w-]{32}\/ks\.cfg$/)
  assert.equal(Buffer.from(content ?? []).toString(), 'mine')
  assert.ok(kernel?.commandLine.includes(`inst.ks=http://10.0.2.100${path} `))
  assert.deepEqual(await readFile(kernel?.initrd ?? ''), INITRD)
})

test('a tree without an installer is said with the address; a system without trees too', async () => {
  await using server = await openWebServer({})
  await assert.rejects(gather(['Fedora', '42'], treeAt(server)), (error: Error) => {
    assert.match(error.message, /\/images\/pxeboot\/vmlinuz: the server answers 404/)
    return failsWith('DOWNLOAD_FAILED')(error)
  })
  await assert.rejects(gather(['Ubuntu', '24.04'], treeAt(server)), failsWith('TEMPLATE_INVALID'))
})

test('a medium is booted by its own kernel, and seen as a disc', async () => {
  const iso = await makeIso('ubuntu.iso', { 'casper/vmlinuz': 'kernel', 'casper/initrd': 'initrd' })
  const sum = createHash('sha256').update(iso).digest('hex')
  await using server = await openWebServer({ '/u.iso': iso, '/SUMS': `${sum}  u.iso\n` })
  const checksum = { algorithm: 'sha256', url: `${server.url}/SUMS` } as const
  const source = { type: 'iso', url: `${server.url}/u.iso`, checksum, extras: [] } as const
  const { kernel, cdroms, files } = await gather(['Ubuntu', '24.04'], source)
  assert.equal(await readFile(kernel?.path ?? '', 'utf8'), 'kernel')
  assert.deepEqual(await readFile(cdroms[0] ?? ''), iso)
  assert.deepEqual(
    [...files.keys()].map((path) => path.replace(/.*\//, '')),
    ['user-data', 'meta-data'],
  )
  const disc = await gather(['Ubuntu', '24.04'], source, { answer_via: 'disc' })
  assert.equal(disc.cdroms.length, 2)
  assert.equal(disc.files.size, 0)
})

test('Windows boots from its medium, with the answer file on a disc and on a floppy', async () => {
  const iso = await makeIso('windows.iso', { 'setup.exe': 'setup' })
  await using server = await openWebServer({ '/w.iso': iso })
  const source = { type: 'iso', url: `${server.url}/w.iso`, extras: [] } as const
  const { kernel, cdroms, floppy } = await gather(['Windows', '2012'], source)
  assert.equal(kernel, undefined)
  const out = inDir('answer')
  assert.equal(await extractFromIso(cdroms[1] ?? '', ['file0000'], out), 'file0000')
  assert.match(await readFile(out, 'utf8'), /<unattend xmlns/)
  const listed = await runTool(['mdir', '-b', '-i', floppy ?? '', '::'])
  assert.match(listed.toString(), /Autounattend\.xml/i)
})

test('extras are put into the medium', async () => {
  const iso = await makeIso('extras.iso', {
    'install.amd/vmlinuz': 'k',
    'install.amd/initrd.gz': 'i',
  })
  await using server = await openWebServer({ '/d.iso': iso, '/extra': 'more' })
  const extra = {
    kind: 'file',
    source: `${server.url}/extra`,
    destination: '/in/extra.txt',
  } as const
  const source = { type: 'iso', url: `${server.url}/d.iso`, extras: [extra] } as const
  const { cdroms } = await gather(['Debian', '12'], source)
  const out = inDir('extra')
  assert.equal(await extractFromIso(cdroms[0] ?? '', ['in/extra.txt'], out), 'in/extra.txt')
  assert.equal(await readFile(out, 'utf8'), 'more')
})

test('a medium without the installer’s kernel is refused', async () => {
  const iso = await makeIso('other.iso', { readme: 'nothing' })
  await using server = await openWebServer({ '/o.iso': iso })
  const source = { type: 'iso', url: `${server.url}/o.iso`, extras: [] } as const
  await assert.rejects(gather(['Debian', '12'], source), failsWith('TEMPLATE_INVALID'))
})

test('a password never comes to stand on a command line', async () => {
  await using server = await openWebServer({
    [`${PXE}/vmlinuz`]: 'kernel',
    [`${PXE}/initrd.img`]: INITRD,
  })
  const url = server.url.replace('http://', 'http://joe:secret@')
  await assert.rejects(gather(['Fedora', '42'], { type: 'url', url }), (error: Error) => {
    assert.doesNotMatch(error.message, /secret/)
    return failsWith('TEMPLATE_INVALID')(error)
  })
})
