import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { makeContext } from '../base/context.ts'
import { openRemote } from '../remotes/open-remote.ts'
import { makeScriptedRemote } from '../testing/scripted-remote.ts'
import { parseSysctl, readSysctl, toSysctlPath } from './sysctl.ts'

describe('kernel settings', () => {
  it('are named with dots or with slashes, as sysctl.d(5) says', () => {
    assert.equal(toSysctlPath('net.ipv4.ip_forward'), 'net/ipv4/ip_forward')
    assert.equal(
      toSysctlPath('net/ipv4/conf/enp3s0.200/forwarding'),
      'net/ipv4/conf/enp3s0.200/forwarding',
    )
    assert.equal(
      toSysctlPath('net.ipv4.conf.enp3s0/200.forwarding'),
      'net/ipv4/conf/enp3s0.200/forwarding',
    )
  })

  it('are read without comments, with single spaces, the last one winning', () => {
    const text = '# a=1\n;b=2\n-c = 3 \nd=1\td 2\nd = 4\t5   6\nnonsense\n'
    assert.deepEqual(
      [...parseSysctl(text)],
      [
        ['c', '3'],
        ['d', '4 5 6'],
      ],
    )
  })

  it('of any text are read without failing', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseSysctl(text)))
    const key = fc.stringMatching(/^[a-z]{1,5}(\.[a-z]{1,5}){0,3}$/)
    fc.assert(
      fc.property(fc.dictionary(key, fc.stringMatching(/^[0-9a-z]{1,8}$/)), (settings) => {
        const text = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
        const read = parseSysctl(text.join(''))
        for (const [name, value] of Object.entries(settings))
          assert.equal(read.get(toSysctlPath(name)), value)
      }),
    )
  })

  it('at boot are those of all files in the order of their names, /etc standing for /usr', async () => {
    const { driver } = makeScriptedRemote({
      files: {
        '/usr/lib/sysctl.d/50-a.conf': 'x=1\ny=1\nz=1\n',
        '/etc/sysctl.d/50-a.conf': 'x=2\n',
        '/usr/lib/sysctl.d/60-b.conf': 'y=3\n',
        '/etc/sysctl.d/README': 'y=9\n',
      },
    })
    const settings = await readSysctl(openRemote(driver, makeContext()))
    assert.deepEqual(settings.get('x'), { value: '2', file: '/etc/sysctl.d/50-a.conf' })
    assert.equal(settings.get('y')?.value, '3')
    assert.equal(settings.get('z'), undefined)
  })
})
