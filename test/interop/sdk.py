"""openstacksdk against an image service: `sdk.py ENDPOINT FILE URL`. Prints what it saw as one JSON object.

FILE is raw data, URL the same data on a web server that the service may fetch from.
"""
import hashlib
import io
import json
import sys
import time

import openstack
from openstack import exceptions


def refused(call):
    """The status that a call is refused with, and what is said of it."""
    try:
        call()
    except exceptions.HttpException as error:
        return [error.status_code, error.details or str(error)]
    return [0, 'it was not refused']


def until(call, wanted):
    """The answer, once it is as wanted; a minute at most."""
    for _ in range(600):
        answer = call()
        if wanted(answer):
            return answer
        time.sleep(0.1)
    raise SystemExit(f'it stays {answer}')


def main(endpoint, path, url):
    cloud = openstack.connect(auth_type='none', endpoint=endpoint)
    images = cloud.image
    data = open(path, 'rb').read()
    saw = {}
    raw = {'disk_format': 'raw', 'container_format': 'bare'}

    made = images.create_image('from-file', filename=path, validate_checksum=True, **raw, tags=['sdk'], note='x')
    saw['from file'] = [made.status, made.size, made.checksum == hashlib.md5(data).hexdigest()]
    saw['properties'] = [made.tags, made.properties['note']]
    again = images.create_image('from-file', filename=path, validate_checksum=True, **raw)
    saw['same data is not sent twice'] = again.id == made.id
    from_bytes = images.create_image('from-bytes', data=data, **raw, validate_checksum=True)
    saw['from bytes'] = images.get_image(from_bytes.id).status

    saw['download'] = images.download_image(made).content == data
    saw['stream'] = b''.join(images.download_image(made, stream=True).iter_content(65536)) == data
    out = io.BytesIO()
    images.download_image(made, output=out)
    saw['download to a file'] = out.getvalue() == data

    saw['find'] = images.find_image('from-file').id == made.id
    saw['find none'] = images.find_image('nowhere')
    saw['get none'] = refused(lambda: images.get_image('00000000-0000-0000-0000-000000000000'))
    saw['list'] = sorted(image.name for image in images.images(tag='sdk'))
    saw['pages'] = len(list(images.images(limit=1)))
    saw['in'] = sorted(image.name for image in images.images(name='in:from-file,from-bytes', sort='name:asc'))

    changed = images.update_image(made, name='changed', min_disk=3, visibility='community')
    saw['update'] = [changed.name, changed.min_disk, changed.visibility]
    images.add_tag(made, 'more')
    images.remove_tag(made, 'sdk')
    saw['tags'] = images.get_image(made.id).tags
    images.deactivate_image(made)
    saw['deactivated'] = images.get_image(made.id).status
    images.reactivate_image(made)
    saw['reactivated'] = images.get_image(made.id).status

    queued = images._create(openstack.image.v2.image.Image, name='queued', **raw)
    queued.data = data
    queued.stage(images)
    saw['staged'] = images.get_image(queued.id).status
    images.import_image(queued, method='glance-direct')
    saw['imported'] = until(lambda: images.get_image(queued.id).status, lambda status: status == 'active')
    web = images._create(openstack.image.v2.image.Image, name='web', **raw)
    images.import_image(web, method='web-download', uri=url, stores=['slow'])
    saw['fetched'] = until(lambda: images.get_image(web.id).status, lambda status: status == 'active')
    saw['store'] = images.get_image(web.id).store
    images.import_image(images.get_image(web.id), method='copy-image', all_stores=True, all_stores_must_succeed=False)
    saw['copied'] = until(lambda: images.get(f'/images/{web.id}').json()['stores'], lambda stores: 'fast' in stores) and True
    via = images.create_image('via', filename=path, **raw, use_import=True)
    saw['by import'] = until(lambda: images.get_image(via.id).status, lambda status: status == 'active')

    shared = images._create(openstack.image.v2.image.Image, name='shared', visibility='shared')
    # Of an image with data it would take away `stores`, a property as it believes, which nobody may.
    saw['property'] = images.update_image(shared, note='y').properties['note']
    images.add_member(shared, member_id='somebody')
    images.update_member('somebody', shared, status='accepted')
    saw['members'] = [[member.member_id, member.status] for member in images.members(shared)]
    saw['member'] = next(iter(images.members(shared))).status
    images.remove_member('somebody', shared)
    saw['members left'] = len(list(images.members(shared)))

    saw['stores'] = sorted(store.id for store in images.stores())
    saw['import info'] = images.get('/info/import').json()['import-methods']['value']
    task = next(iter(images.tasks()))
    saw['task'] = [images.get_task(task.id).status, images.get_task(task.id).type]
    for name in ('image', 'images', 'member', 'members', 'task', 'tasks'):
        saw[f'schema {name}'] = getattr(images, f'get_{name}_schema')().name

    upload = lambda image, kind: refused(  # noqa: E731
        lambda: exceptions.raise_from_response(
            images.put(f'/images/{image.id}/file', data=data, headers={'Content-Type': kind})
        )
    )
    saw['second upload'] = upload(made, 'application/octet-stream')
    saw['wrong type'] = upload(shared, 'text/plain')
    for image in images.images(visibility='all'):
        images.delete_image(image)
    images.delete_image(made.id, ignore_missing=True)
    saw['delete none'] = refused(lambda: images.delete_image(made.id, ignore_missing=False))
    saw['left'] = len(list(images.images(visibility='all')))
    print(json.dumps(saw))


main(*sys.argv[1:])
