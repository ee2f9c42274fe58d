import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Failure } from '../../base/failure.ts'
import { makeMmdebstrapArgv, toBootstrapFailure } from './_mmdebstrap.ts'
import { choosePackages } from './base-packages.ts'

const files = {
  setupHook: '/w/before-packages',
  customizeHook: '/w/after-packages',
  root: '/w/root',
}

describe("mmdebstrap's command line", () => {
  it('makes a Debian out of its packages', () => {
    const argv = makeMmdebstrapArgv({
      ...files,
      base: { distro: 'debian', release: 'bookworm' },
      packages: ['linux-image-cloud-amd64', 'systemd-sysv'],
      aptOptions: ['Acquire::Retries "2"'],
      sources: '/w/debian.sources',
    })
    assert.deepEqual(argv, [
      'mmdebstrap',
      '--mode=root',
      '--format=directory',
      '--variant=minbase',
      '--architectures=amd64',
      '--include=linux-image-cloud-amd64,systemd-sysv',
      '--skip=cleanup/apt',
      '--skip=essential/unlink',
      '--skip=chroot/mount/sys',
      '--aptopt=Acquire::Retries "2"',
      '--setup-hook=/w/before-packages',
      '--customize-hook=/w/after-packages',
      'bookworm',
      '/w/root',
      '/w/debian.sources',
    ])
  })

  it('makes an Ubuntu with its own kernel and network', () => {
    const base = { distro: 'ubuntu', release: 'noble', variant: 'standard' } as const
    const packages = choosePackages(base, 'ext4')
    const sources = '/w/ubuntu.sources'
    const argv = makeMmdebstrapArgv({ ...files, base, packages, aptOptions: [], sources })
    assert.ok(argv.includes('--variant=standard'))
    assert.deepEqual(argv.slice(-3), ['noble', '/w/root', '/w/ubuntu.sources'])
    const include = argv
      .find((word) => word.startsWith('--include='))
      ?.slice(10)
      .split(',')
    for (const name of ['linux-image-virtual', 'netplan.io', 'ubuntu-keyring', 'cloud-init'])
      assert.ok(include?.includes(name), name)
    for (const name of ['linux-image-cloud-amd64', 'ifupdown', 'debian-archive-keyring'])
      assert.ok(!include?.includes(name), name)
  })
})

function failureOf(stderr: string): Failure {
  return toBootstrapFailure({ code: 1, stdout: Buffer.alloc(0), stderr: Buffer.from(stderr) })
}

describe('what mmdebstrap complains of', () => {
  it('becomes a failure that says what to change', () => {
    const cases = [
      [
        'E: Unable to locate package ngnix\nE: apt-get failed',
        'BUILD_FAILED',
        /no package 'ngnix'/,
      ],
      [
        'W: GPG error: NO_PUBKEY 6ED0E7B82643E131\nE: x',
        'DOWNLOAD_FAILED',
        /NO_PUBKEY 6ED0E7B82643E131/,
      ],
      [
        'E: Failed to fetch http://m.example/x.deb  404  Not Found\nE: y',
        'DOWNLOAD_FAILED',
        /x\.deb: 404/,
      ],
      [
        "Err:1 http://m.example\n  Could not resolve 'm.example'\nE: z",
        'DOWNLOAD_FAILED',
        /m\.example/,
      ],
      ['tar: x: write: No space left on device\nE: tar failed', 'NO_SPACE', /no space/],
      ['E: something new', 'BUILD_FAILED', /something new/],
      ['', 'BUILD_FAILED', /ended with 1/],
    ] as const
    for (const [stderr, code, message] of cases) {
      const failure = failureOf(stderr)
      assert.equal(failure.code, code, stderr)
      assert.match(failure.message, message)
    }
  })

  it('is kept, the last lines of it', () => {
    const lines = Array.from({ length: 50 }, (_, index) => `line ${index}`)
    const { output } = failureOf([...lines, 'E: broken'].join('\n')).details
    assert.equal(String(output).split('\n').length, 20)
    assert.match(String(output), /E: broken$/)
  })
})
