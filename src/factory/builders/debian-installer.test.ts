import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { GiB } from '../../base/units.ts'
import { buildJob } from '../../testing/build-job.ts'
import { templateOf } from '../../testing/template-of.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { openWebServer } from '../../testing/web-server.ts'
import { installerBuilder } from './installer.ts'

/** Debian's own installer for network boots, as Debian's package debian-installer-12-netboot-amd64 brings it. */
const INSTALLER = '/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64'
const TREE =
  '/debian/dists/bookworm/main/installer-amd64/current/images/netboot/debian-installer/amd64'
const PAYLOAD = 'installed by debian-installer'

/**
 * The front half of an installation: hardware, network, the answer file over HTTP, its early command. The card has the
 * one kind of disk for which the installer brings the driver with it; all others it would fetch from a mirror.
 */
const PRESEED = `d-i debian-installer/locale string en_US.UTF-8
d-i netcfg/choose_interface select auto
d-i preseed/early_command string \\
  for driver in sdhci-pci mmc_block; do modprobe $driver; done; \\
  for wait in 1 2 3 4 5 6 7 8 9 10; do [ -b /dev/mmcblk0 ] || sleep 1; done; \\
  echo '${PAYLOAD}' | dd of=/dev/mmcblk0 bs=512 conv=sync; sync; poweroff -f
`

const inDir = await tempDir()

test(
  'debian-installer gets its answer file over HTTP, does what it says, and powers off',
  {
    skip: !existsSync(INSTALLER) && 'needs debian-installer-12-netboot-amd64',
    timeout: 1_200_000,
  },
  async () => {
    await using server = await openWebServer({
      [`${TREE}/linux`]: await readFile(`${INSTALLER}/linux`),
      [`${TREE}/initrd.gz`]: await readFile(`${INSTALLER}/initrd.gz`),
    })
    const workDir = inDir('work')
    await mkdir(workDir)
    const template = templateOf(undefined, {
      kind: 'tdl',
      install: {
        source: { type: 'url', url: `${server.url}/debian/dists/bookworm/` },
        diskSize: GiB,
        rootPassword: null,
        productKey: null,
        kernelParameters: null,
      },
    })
    const options = {
      accelerator: 'tcg',
      answer_via: 'http',
      install_script: PRESEED,
      disk_bus: 'sd',
      network: 'isolated',
      cpus: 1, // it does one thing at a time
      generate_icicle: false,
      clean: false,
    } as const
    const { job, written } = buildJob({ template, options, workDir })
    const { body } = await installerBuilder.build(job)
    await using disk = await open(body?.path ?? '', 'r')
    const { buffer } = await disk.read(Buffer.alloc(512), 0, 512, 0)
    assert.match(buffer.toString(), new RegExp(`^${PAYLOAD}\n`))
    assert.match(written.events.join('\n'), /installed in /)
  },
)
