import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../base/failure.ts'
import { failsWith } from '../testing/fails-with.ts'
import { parseDestination } from './_ssh-destination.ts'

describe('a destination', () => {
  it('is a host, with user and port if need be', () => {
    const cases: Record<string, [string | undefined, string, number | undefined]> = {
      'web-01': [undefined, 'web-01', undefined],
      'root@web-01.example.org:2222': ['root', 'web-01.example.org', 2222],
      'admin@corp.example@10.0.0.1': ['admin@corp.example', '10.0.0.1', undefined],
      '[::1]': [undefined, '::1', undefined],
      'root@[fe80::1%eth0]:22': ['root', 'fe80::1%eth0', 22],
      'my_alias:65535': [undefined, 'my_alias', 65_535],
    }
    for (const [text, [user, host, port]] of Object.entries(cases))
      assert.deepEqual(parseDestination(text), { user, host, port, text })
  })

  it('is nothing that ssh could take for an option or a shell for code', () => {
    const bad = [
      '', '-oProxyCommand=id', 'root@-host', '-root@host', '@host', 'root@', 'a b', 'a;id', '$(id)',
      '`id`', 'host:', 'host:0', 'host:65536', 'host:22:22', '::1', '[::1', '[web-01]', 'a/b@host',
      "x'y@host", 'host\n', 'host|id', 'ssh://host', 'x'.repeat(400),
    ] // prettier-ignore
    for (const text of bad) assert.throws(() => parseDestination(text), failsWith('USAGE'), text)
  })

  it('never fails in another way, and lets no word begin with a dash', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z@:[\]\-$ .%\\0-9]{0,12}$/), (text) => {
        try {
          const { user, host } = parseDestination(text)
          assert.match(`${user ?? ''}@${host}`, /^(?!-)[\w.@+\\$-]*@(?!-)[\w.:%-]+$/)
        } catch (error) {
          if (!isFailure(error, 'USAGE')) throw error
        }
      }),
    )
  })
})
