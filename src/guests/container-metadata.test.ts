import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { type ContainerFacts, incusMetadata, lxcMetadata } from './container-metadata.ts'

const FACTS: ContainerFacts = {
  guest: {
    distro: 'debian',
    family: 'debian',
    version: '12',
    codename: 'bookworm',
    prettyName: 'Debian GNU/Linux 12 (bookworm)',
    architecture: 'x86_64',
  },
  madeAt: 1_735_787_045,
  devices: [],
}

const releaseOf = (guest: Partial<ContainerFacts['guest']>) => {
  const files = incusMetadata({ ...FACTS, guest: { ...FACTS.guest, ...guest } })
  return parse(files['metadata.yaml'] ?? '').properties.release
}

describe('metadata of an Incus image', () => {
  it('says what the guest is, and when it was made', () => {
    const files = incusMetadata(FACTS)
    assert.deepEqual(parse(files['metadata.yaml'] ?? ''), {
      architecture: 'x86_64',
      creation_date: 1_735_787_045,
      properties: {
        architecture: 'x86_64',
        description: 'Debian GNU/Linux 12 (bookworm) x86_64 (20250102_03:04)',
        name: 'debian-bookworm-x86_64-default-20250102_03:04',
        os: 'debian',
        release: 'bookworm',
        serial: '20250102_03:04',
        variant: 'default',
      },
      templates: { '/etc/hostname': { when: ['create', 'copy'], template: 'hostname.tpl' } },
    })
    assert.equal(files['templates/hostname.tpl'], '{{ container.name }}\n')
  })

  it('is YAML whatever the guest calls itself', () => {
    const prettyName = 'a: "b"\n- [c] # \u0007'
    const files = incusMetadata({ ...FACTS, guest: { ...FACTS.guest, prettyName } })
    const { properties } = parse(files['metadata.yaml'] ?? '')
    assert.equal(properties.description, `${prettyName} x86_64 (20250102_03:04)`)
  })

  it('names a release by its version, or as current, when it has no name', () => {
    assert.equal(releaseOf({ codename: '' }), '12')
    assert.equal(releaseOf({ codename: '', version: '' }), 'current')
  })
})

describe('metadata of an LXC image', () => {
  it('says how to run the guest, as root and as a user', () => {
    const files = lxcMetadata(FACTS)
    assert.equal(
      files['config'],
      'lxc.include = LXC_TEMPLATE_CONFIG/common.conf\nlxc.arch = x86_64\n',
    )
    assert.equal(
      files['config-user'],
      `${files['config']}lxc.include = LXC_TEMPLATE_CONFIG/userns.conf\n`,
    )
  })

  it('leaves out devices for users, of which the shell that reads it sees nothing but the path', () => {
    const devices = ['srv/tty', 'srv/a b', 'srv/$(reboot)', 'srv/*', '--help\n']
    assert.equal(lxcMetadata({ ...FACTS, devices })['excludes-user'], 'srv/tty\n')
  })

  it('has one line where the guest’s name has several', () => {
    const prettyName = 'one\nlxc.hook.start = /evil'
    const files = lxcMetadata({ ...FACTS, guest: { ...FACTS.guest, prettyName } })
    assert.ok(!(files['config'] ?? '').includes('evil'))
  })
})
