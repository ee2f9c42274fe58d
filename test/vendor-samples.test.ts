/**
 * Images that other vendors' programs wrote: Hyper-V, Virtual PC, Disk2vhd, VMware. They are among the
 * test data of QEMU, whose source package the host's own Debian mirror has.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findProgram, runProcess, runTool } from '../src/base/process.ts'

const INGOT = join(import.meta.dirname, '../ingot')
const PACKAGE = 'qemu_7.2+dfsg.orig.tar.xz'
const SHA256 = '91aca71520040edc40b8d437aa3004dae614f58e286cf653ee8996c07af2962f'
const full = process.env['INGOT_TEST_FULL'] === '1'
const missing = ['apt-get', 'curl', 'qemu-img', 'bunzip2'].filter((name) => !findProgram(name))
const skip = full
  ? missing.length > 0 && `needs ${missing.join(', ')}`
  : 'fetches the source of QEMU: make test-full'

/** Each with the driver of QEMU that reads it too. */
const GOOD = [
  ['iotest-dynamic-1G.vhdx', 'vhdx', 'vhdx'],
  ['test-disk2vhd.vhdx', 'vhdx', 'vhdx'],
  ['d2v-zerofilled.vhd', 'vhd', 'vpc'],
  ['hyperv2012r2-dynamic.vhd', 'vhd', 'vpc'],
  ['virtualpc-dynamic.vhd', 'vhd', 'vpc'],
  ['iotest-version3.vmdk', 'vmdk', 'vmdk'],
  ['grub_mbr.raw', 'raw', 'raw'],
] as const

const REFUSED = [
  ['iotest-dirtylog-10G-4M.vhdx', 'vhdx', 'DIRTY'],
  ['afl9.vmdk', 'vmdk', 'HEADER_INVALID'],
  ['afl5.img', 'vhd', 'TRUNCATED'],
  ['empty.bochs', 'raw', 'FORMAT_UNSUPPORTED'],
  ['simple-dmg.dmg', 'raw', 'FORMAT_UNSUPPORTED'],
  ['simple-pattern.cloop', 'raw', 'FORMAT_UNSUPPORTED'],
  ['parallels-v1', 'raw', 'FORMAT_UNSUPPORTED'],
  ['parallels-v2', 'raw', 'FORMAT_UNSUPPORTED'],
] as const

describe('images that other programs wrote', { skip }, () => {
  let directory = ''

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'ingot-samples-'))
    const archive = join(directory, PACKAGE)
    await runTool(['curl', '-sSfL', '-o', archive, `${await mirror()}/pool/main/q/qemu/${PACKAGE}`])
    const digest = createHash('sha256')
      .update(await readFile(archive))
      .digest('hex')
    assert.equal(digest, SHA256)
    const samples = ['--strip-components=4', '--wildcards', '*/sample_images/*.bz2']
    await runTool(['tar', '-C', directory, '-xf', archive, ...samples])
    const packed = (await readdir(directory)).filter((name) => name.endsWith('.bz2'))
    await runTool(['bunzip2', '-f', ...packed.map((name) => join(directory, name))])
  })
  after(() => rm(directory, { recursive: true, force: true }))

  for (const [name, claim, driver] of GOOD)
    it(`reads ${name} as QEMU does`, async () => {
      const image = join(directory, name)
      const raw = join(directory, 'disk.raw')
      await runTool([INGOT, 'inspect', '-q', '--claim', claim, image])
      await runTool([INGOT, 'convert', '-q', image, raw])
      await runTool(['qemu-img', 'compare', '-f', driver, '-F', 'raw', image, raw])
    })

  for (const [name, claim, code] of REFUSED)
    it(`refuses ${name}: ${code}`, async () => {
      const argv = [INGOT, 'inspect', '-q', '--json', '--claim', claim, join(directory, name)]
      const { code: exit, stdout } = await runProcess(argv)
      const { findings } = JSON.parse(stdout.toString()) as { findings: { code: string }[] }
      assert.equal(exit, 4)
      assert.ok(findings.some((finding) => finding.code === code))
    })
})

/** Where this host's apt has Debian itself from. */
async function mirror(): Promise<string> {
  const sites = (await runTool(['apt-get', 'indextargets', '--format', '$(SITE)'])).toString()
  const site = sites.split('\n').find((one) => /\/debian\/?$/.test(one))
  assert.ok(site, 'apt names no mirror of Debian')
  return site.replace(/\/$/, '')
}
