import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { validateHeaderValue } from 'node:http'
import { assert as check, property, string } from 'fast-check'
import { toDisposition } from './_disposition.ts'

describe('the name under which a browser saves', () => {
  it('is the file’s', () => {
    assert.equal(toDisposition('debian-12.qcow2'), 'attachment; filename="debian-12.qcow2"')
  })

  it('keeps other alphabets for those who read them', () => {
    assert.equal(
      toDisposition('Größe "1".raw'),
      `attachment; filename="Gr__e _1_.raw"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%221%22.raw`,
    )
  })

  it('is never a path, a hidden file, or nothing', () => {
    assert.equal(toDisposition('../../etc/passwd'), 'attachment; filename="__.._etc_passwd"')
    assert.equal(toDisposition('.profile'), 'attachment; filename="_profile"')
    assert.equal(toDisposition(''), 'attachment; filename="disk"')
  })

  it('always fits a header, whatever the name holds', () => {
    check(
      property(string({ unit: 'binary', maxLength: 40 }), (name) => {
        const header = toDisposition(name)
        validateHeaderValue('Content-Disposition', header)
        assert.match(header, /^attachment; filename="[\w .+-]+"(; filename\*=UTF-8''[\w.~%-]+)?$/)
      }),
    )
  })
})
