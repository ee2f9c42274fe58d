import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { makeScriptedRemote } from '../testing/scripted-remote.ts'
import { parseInstall, readUnitState, refuseUnitName, toUnitName } from './units.ts'

const NGINX =
  '[Unit]\nDescription=x\n[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n'
const STATIC = '[Service]\nExecStart=/x\n'
const LIB = '/usr/lib/systemd/system'
const ETC = '/etc/systemd/system'

async function stateOf(
  unit: string,
  files: Record<string, string>,
  links: Record<string, string> = {},
) {
  const scripted = makeScriptedRemote({ files })
  for (const [path, target] of Object.entries(links)) {
    scripted.files.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    scripted.files.link(path, target)
  }
  return await readUnitState(openRemote(scripted.driver, makeContext()), unit)
}

describe('the state of a unit', () => {
  const unit = { [`${LIB}/nginx.service`]: NGINX }
  const wanted = { [`${ETC}/multi-user.target.wants/nginx.service`]: `${LIB}/nginx.service` }

  it('is read from its file and the links to it', async () => {
    assert.equal(await stateOf('nginx.service', unit), 'disabled')
    assert.equal(await stateOf('nginx.service', unit, wanted), 'enabled')
    assert.equal(await stateOf('other.service', unit, wanted), 'missing')
  })

  it('is masked by a link to /dev/null or an empty file, whatever else is there', async () => {
    const mask = { [`${ETC}/nginx.service`]: '/dev/null' }
    assert.equal(await stateOf('nginx.service', unit, { ...wanted, ...mask }), 'masked')
    assert.equal(
      await stateOf('nginx.service', { ...unit, [`${ETC}/nginx.service`]: '' }),
      'masked',
    )
  })

  it('is static without [Install], unless the distribution itself wants it', async () => {
    const file = { [`${LIB}/x.service`]: STATIC }
    assert.equal(await stateOf('x.service', file), 'static')
    const link = { [`${LIB}/sysinit.target.wants/x.service`]: '../x.service' }
    assert.equal(await stateOf('x.service', file, link), 'enabled')
  })

  it('is that of the unit an alias stands for', async () => {
    const file = { [`${LIB}/ssh.service`]: `${NGINX}Alias=sshd.service\n` }
    const alias = { [`${ETC}/sshd.service`]: `${LIB}/ssh.service` }
    const link = { [`${ETC}/multi-user.target.wants/ssh.service`]: `${LIB}/ssh.service` }
    assert.equal(await stateOf('sshd.service', file, { ...alias, ...link }), 'enabled')
    assert.equal(await stateOf('ssh.service', file, alias), 'enabled')
    assert.equal(await stateOf('ssh.service', file), 'disabled')
  })

  it('is that of an instance, by the file of its template', async () => {
    const file = { [`${LIB}/getty@.service`]: NGINX }
    const link = { [`${ETC}/getty.target.wants/getty@tty1.service`]: `${LIB}/getty@.service` }
    assert.equal(await stateOf('getty@tty1.service', file, link), 'enabled')
    assert.equal(await stateOf('getty@tty2.service', file, link), 'disabled')
  })

  it('is read from the rc links where there is only a script of old', async () => {
    const script = { '/etc/init.d/old': '#!/bin/sh' }
    assert.equal(await stateOf('old.service', script), 'disabled')
    const on = { '/etc/rc3.d/S02old': '../init.d/old' }
    assert.equal(await stateOf('old.service', script, on), 'enabled')
    const off = { '/etc/rc3.d/K02old': '../init.d/old' }
    assert.equal(await stateOf('old.service', script, off), 'disabled')
  })
})

describe('a unit file', () => {
  it('gives what stands in [Install], an empty value taking back those before', () => {
    const install = parseInstall(
      '[Unit]\nWantedBy=no\n[Install]\nWantedBy=a.target\\\n b.target\n# c\nAlias=x\nAlias=\nAlias=y\n',
    )
    assert.deepEqual(install.get('WantedBy'), ['a.target', 'b.target'])
    assert.deepEqual(install.get('Alias'), ['y'])
  })

  it('of any text is read without failing', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseInstall(`[Install]\n${text}`)))
  })

  it('has a name that is no option and no path', () => {
    for (const bad of ['-x; rm', '--now', 'a/b', 'a b', '', '.hidden'])
      assert.notEqual(refuseUnitName(bad), undefined, bad)
    assert.equal(refuseUnitName('systemd-fsck@dev-disk.service'), undefined)
    assert.equal(toUnitName('nginx'), 'nginx.service')
    assert.equal(toUnitName('apt-daily.timer'), 'apt-daily.timer')
    assert.equal(toUnitName('getty@tty1'), 'getty@tty1.service')
  })
})
