/** A whole installation by the builder `installer`, package by package, and what is done with the installed disk. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { after, before, suite, test } from 'node:test'
import { makeContext } from '../../base/context.ts'
import { findProgram } from '../../base/process.ts'
import { GiB } from '../../base/units.ts'
import { runBootTest } from '../../machines/boot-test.ts'
import { checkImage } from '../../recipes/image-run.ts'
import type { Report } from '../../recipes/report.ts'
import { openImageRemote } from '../../remotes/open-image.ts'
import type { Remote } from '../../remotes/remote.ts'
import { buildJob, type WrittenBuild } from '../../testing/build-job.ts'
import { templateOf } from '../../testing/template-of.ts'
import { makePackageInstaller } from '../../testing/package-installer.ts'
import { openPackageMirror } from '../../testing/package-mirror.ts'
import { recipeOf } from '../../testing/recipe-text.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import type { WebServer } from '../../testing/web-server.ts'
import type { InstallerOptions } from '../installer/installer-options.ts'
import { installerBuilder } from './installer.ts'

const needed = ['apt-get', 'dpkg-deb', 'sfdisk', 'qemu-system-x86_64']
const missing = needed.filter((name) => findProgram(name) === undefined)
const isFull = process.env['INGOT_TEST_FULL'] === '1'
const skip = !isFull
  ? 'set INGOT_TEST_FULL=1: an emulated guest is installed'
  : missing.length > 0 && `needs ${missing.join(', ')}`

const PACKAGES = [
  'systemd-sysv',
  'udev',
  'linux-image-cloud-amd64',
  'grub-pc-bin',
  'grub2-common',
  'openssh-server',
]
/** Of what the mirror has only one of two alternatives. */
const ALTERNATIVES = ['usr-is-merged']
const TREE =
  '/debian/dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64'

const inDir = await tempDir()
const installer = isFull ? await makePackageInstaller() : undefined

const TEMPLATE = `
validators:
  - file: {path: /etc/greeting, content: hello}
  - service: ssh
`

interface Outcome {
  readonly path: string
  readonly icicle: string
  readonly written: WrittenBuild
}

let builds = 0
/** The disk is installed once: the second build takes it from the cache of installed disks. */
async function build(server: WebServer, options: InstallerOptions): Promise<Outcome> {
  const workDir = inDir(`work-${builds++}`)
  await mkdir(workDir)
  const template = templateOf(TEMPLATE, {
    kind: 'tdl',
    install: {
      source: { type: 'url', url: `${server.url}/debian` },
      diskSize: 2 * GiB,
      rootPassword: null,
      productKey: null,
      kernelParameters: null,
    },
  })
  const always = { accelerator: 'tcg', use_jeos_cache: true, memory: 1024, cpus: 2 } as const
  const script = { install_script: answersFor(server) }
  const given = { template, options: { ...always, ...script, ...options }, workDir }
  const { job, written } = buildJob({ ...given, cacheDir: inDir('cache') })
  const { body, documents } = await installerBuilder.build(job)
  return { path: body?.path ?? '', icicle: String(documents?.icicle), written }
}

/** As the guest sees this host. */
function answersFor({ url }: WebServer): string {
  return `d-i netcfg/get_hostname string installed
d-i mirror/http/hostname string 10.0.2.2:${new URL(url).port}
d-i mirror/http/directory string /debian
d-i partman-auto/disk string /dev/vda
d-i pkgsel/include string ${PACKAGES.join(' ')}
d-i debian-installer/add-kernel-opts string console=tty0 console=ttyS0
`
}

const chooseAccelerator = async () => 'tcg' as const

async function validate(path: string): Promise<Report> {
  const own = { path, format: 'raw', via: 'read', trusted: false, network: false } as const
  const dirs = { tempDir: inDir('.'), cacheDir: inDir('cache') }
  const values = new Map<string, string>()
  const options = { ...own, ...dirs, values, chooseAccelerator }
  return await checkImage(recipeOf(TEMPLATE), options, makeContext())
}

async function readDisk(path: string): Promise<Remote> {
  const options = { path, format: 'raw', via: 'read', access: 'check', network: false } as const
  const rest = { accelerator: 'tcg', tempDir: inDir('.'), cacheDir: inDir('cache') } as const
  return await openImageRemote({ ...options, ...rest }, makeContext())
}

suite('a system installed package by package', { skip, timeout: 7_200_000 }, () => {
  let server: WebServer
  before(async () => {
    const packages = [...PACKAGES, ...ALTERNATIVES]
    const { kernel, initrd } = installer ?? {}
    assert.ok(kernel && initrd, 'linux-image-cloud-amd64 is not installed')
    server = await openPackageMirror(inDir('mirror'), packages, {
      [`${TREE}/linux`]: kernel,
      [`${TREE}/initrd.gz`]: initrd,
    })
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
  })

  test('is customised offline, validates by reading, and boots to its login prompt', async () => {
    const { path, icicle, written } = await build(server, { customize: 'offline', trusted: true })
    assert.match(written.console, /Installing openssh-server \(\d+\/\d+\)/)
    assert.match(written.events.join('\n'), /installed in .*powered off/)
    assert.match(icicle, /<package name="openssh-server_/)
    const report = await validate(path)
    assert.ok(report.ok, JSON.stringify(report.verdicts))
    const boot = await runBootTest(
      { image: path, format: 'raw', firmware: 'bios', accelerator: 'tcg', tempDir: inDir('.') },
      makeContext(),
    )
    assert.ok(boot.passed, String(boot.diagnosis?.hint))
  })

  test('is customised online, by a key that is gone in the end, and shut down whole', async () => {
    const { path, icicle, written } = await build(server, { customize: 'online', trusted: true })
    const events = written.events.join('\n')
    assert.match(events, /the installed disk was kept from an earlier build/)
    assert.match(events, /the key is written into the disk/)
    assert.match(events, /shut down: the guest powered off/)
    assert.match(icicle, /<package name="openssh-server_/)
    const report = await validate(path)
    assert.ok(report.ok, JSON.stringify(report.verdicts))
    await using disk = await readDisk(path)
    assert.equal(await disk.stat('/root/.ssh/authorized_keys'), undefined)
    assert.equal(await disk.readText('/etc/machine-id'), '')
  })
})
