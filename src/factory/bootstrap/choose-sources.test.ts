import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { BaseKey } from '../../recipes/base-schema.ts'
import { type HostApt, parseSourcesList } from '../../guests/apt-sources.ts'
import { chooseSources } from './choose-sources.ts'

const bookworm: BaseKey = { distro: 'debian', release: 'bookworm' }
const noble: BaseKey = { distro: 'ubuntu', release: 'noble' }

const debianHost: HostApt = {
  distro: 'debian',
  codename: 'bookworm',
  sources: parseSourcesList(
    `deb https://vendor.example bookworm main
     deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://near.example/debian bookworm main
     deb http://near.example/debian bookworm-updates main
     deb http://near.example/fixes bookworm-security main`,
  ),
}

/** Suites by mirror. */
function choose(base: BaseKey, host = debianHost): Record<string, string> {
  const { sources } = chooseSources(base, host, () => true)
  return Object.fromEntries(sources.map(({ uris, suites }) => [uris[0], suites.join(' ')]))
}

describe('the sources of a build', () => {
  it("are the host's for the same release, and not those of other vendors", () => {
    assert.deepEqual(choose(bookworm), {
      'http://near.example/debian': 'bookworm bookworm-updates',
      'http://near.example/fixes': 'bookworm-security',
    })
  })

  it("are the host's mirror for another release of the same distribution", () => {
    assert.deepEqual(choose({ ...bookworm, release: 'trixie' }), {
      'http://near.example/debian': 'trixie trixie-updates',
      'http://near.example/fixes': 'trixie-security',
    })
  })

  it('are the mirror of the recipe, with security beside it', () => {
    assert.deepEqual(choose({ ...bookworm, mirror: 'https://m.example/archive/debian/2026/' }), {
      'https://m.example/archive/debian/2026/': 'bookworm bookworm-updates',
      'https://m.example/archive/debian-security/2026/': 'bookworm-security',
    })
    assert.deepEqual(
      choose({ ...bookworm, mirror: 'file:/srv/packages', security_mirror: 'http://s.example/' }),
      {
        'file:/srv/packages': 'bookworm bookworm-updates',
        'http://s.example/': 'bookworm-security',
      },
    )
  })

  it('have no security updates when the recipe says so, and none of either for a rolling release', () => {
    const mirror = 'http://m.example/debian'
    assert.deepEqual(choose({ ...bookworm, mirror, security_mirror: 'none' }), {
      [mirror]: 'bookworm bookworm-updates',
    })
    assert.deepEqual(choose({ ...bookworm, mirror, release: 'sid' }), { [mirror]: 'sid' })
  })

  it('have everything of Ubuntu on one mirror', () => {
    const mirror = 'http://m.example/ubuntu'
    const { sources, keys } = chooseSources({ ...noble, mirror }, debianHost, () => true)
    assert.deepEqual(sources, [
      {
        uris: [mirror],
        suites: ['noble', 'noble-updates', 'noble-security'],
        components: ['main', 'universe'],
        signedBy: '/usr/share/keyrings/ubuntu-archive-keyring.gpg',
      },
    ])
    assert.equal(keys, '/usr/share/keyrings/ubuntu-archive-keyring.gpg')
  })

  it('cannot be chosen without a mirror, and says what to name', () => {
    assert.throws(() => choose(noble), {
      code: 'BUILD_FAILED',
      message: /no mirror for ubuntu noble/,
    })
    const bare = { distro: 'fedora', codename: '', sources: [] }
    assert.throws(() => choose(bookworm, bare), { fix: /base\.mirror.*base\.keyring/ })
  })

  it('cannot be chosen without keys', () => {
    const base: BaseKey = { ...noble, mirror: 'http://m.example/ubuntu' }
    assert.throws(() => chooseSources(base, debianHost, () => false), {
      code: 'BUILD_FAILED',
      fix: /ubuntu-keyring/,
    })
    const keyring = '/keys/private.gpg'
    assert.equal(chooseSources({ ...base, keyring }, debianHost, () => true).keys, keyring)
  })
})
