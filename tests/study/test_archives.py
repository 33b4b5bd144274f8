"""Unpacking and checking the study's data sets, on one of a few small files."""

import io
import sys
import tarfile

import pytest

import get_data
from mmkw.study.archives import DataError, DataSet, digest, held_back, problem, unpack

FILES = {f'train/{kind}/{i}.jpg': f'{kind}{i}'.encode() for kind in ('cat', 'dog') for i in range(10)}
PARTS = {'train/cat': 10, 'train/dog': 10}


def pack(path, files, name='tiny', **attributes):
    with tarfile.open(path, 'w:gz') as archive:
        for file, content in files.items():
            member = tarfile.TarInfo(f'{name}/{file}')
            member.size = len(content)
            for key, value in attributes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def data(tmp_path):
    for name, content in FILES.items():
        (tmp_path / 'source' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'source' / name).write_bytes(content)
    return DataSet('tiny', PARTS, digest(tmp_path / 'source', PARTS), 'somewhere', held_back=True)


@pytest.fixture
def archive(tmp_path):
    return pack(tmp_path / 'tiny.tar.gz', FILES)


def refused(data, archive, root, match):
    with pytest.raises(DataError, match=match):
        unpack(data, archive, root)
    assert not root.exists() or list(root.iterdir()) == []


def test_unpacks_once(data, archive, tmp_path):
    assert unpack(data, archive, tmp_path / 'data')
    assert (tmp_path / 'data' / 'tiny' / 'train' / 'dog' / '3.jpg').read_bytes() == b'dog3'
    assert problem(data, tmp_path / 'data' / 'tiny') is None
    assert not unpack(data, archive, tmp_path / 'data')


def test_the_lists_split_the_training_images_by_the_hash_of_their_names(data, archive, tmp_path):
    unpack(data, archive, tmp_path)
    fit, held = ((tmp_path / 'tiny' / f'{name}.txt').read_text().splitlines() for name in ('fit', 'held_back'))
    assert sorted(fit + held) == sorted(
        f'{kind}/{i}.jpg {label}' for label, kind in enumerate(('cat', 'dog')) for i in range(10)
    )
    assert held and all(held_back(line.split()[0]) for line in held)
    assert not any(held_back(line.split()[0]) for line in fit)


def test_about_a_tenth_is_held_back():
    assert 450 < sum(held_back(f'cat/{i:04}.jpg') for i in range(5000)) < 550


def test_a_missing_file_is_counted(data, tmp_path):
    archive = pack(tmp_path / 'short.tar.gz', {name: FILES[name] for name in list(FILES)[1:]})
    refused(data, archive, tmp_path / 'data', 'train/cat holds 9 files in place of 10')


def test_another_content_is_refused(data, tmp_path):
    archive = pack(tmp_path / 'other.tar.gz', {**FILES, 'train/cat/0.jpg': b'dog0'})
    refused(data, archive, tmp_path / 'data', 'another content')


def test_a_damaged_archive(data, archive, tmp_path):
    archive.write_bytes(archive.read_bytes()[:-60])
    refused(data, archive, tmp_path / 'data', 'is damaged or no .tar.gz')


def test_what_is_no_archive(data, tmp_path):
    (tmp_path / 'tiny.tar.gz').write_text('<html>')
    refused(data, tmp_path / 'tiny.tar.gz', tmp_path / 'data', 'is damaged or no .tar.gz')


@pytest.mark.parametrize('name', ['..', '/tiny', 'tiny/../..', 'other'])
def test_files_outside_the_folder(data, tmp_path, name):
    archive = pack(tmp_path / 'bad.tar.gz', {'evil.txt': b''}, name)
    refused(data, archive, tmp_path / 'data', 'which is no plain file below tiny/')
    assert not list(tmp_path.rglob('evil.txt'))


def test_links(data, tmp_path):
    archive = pack(tmp_path / 'bad.tar.gz', {'a': b''}, type=tarfile.SYMTYPE, linkname='/etc/passwd')
    refused(data, archive, tmp_path / 'data', 'which is no plain file below tiny/')


def test_what_is_there_and_not_whole_is_left_alone(data, archive, tmp_path):
    unpack(data, archive, tmp_path)
    (tmp_path / 'tiny' / 'train' / 'cat' / '0.jpg').write_bytes(b'mine')
    with pytest.raises(
        DataError, match='tiny is there and not whole: a file has another content than it should; remove'
    ):
        unpack(data, archive, tmp_path)
    assert (tmp_path / 'tiny' / 'train' / 'cat' / '0.jpg').read_bytes() == b'mine'


def test_a_changed_list_is_noticed(data, archive, tmp_path):
    unpack(data, archive, tmp_path)
    (tmp_path / 'tiny' / 'fit.txt').write_text('')
    assert 'fit.txt' in problem(data, tmp_path / 'tiny')


def tool(monkeypatch, capsys, *arguments):
    """What the tool prints, and its exit status."""
    monkeypatch.setattr(sys, 'argv', ['get_data.py', *map(str, arguments)])
    with pytest.raises(SystemExit) as error:
        get_data.main()
    printed = capsys.readouterr()
    return printed.out + printed.err, error.value.code


def test_the_tool_says_where_to_get_what_is_not_there(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    printed, status = tool(monkeypatch, capsys)
    assert status == 1
    for words in (
        'data/cifar10: it is not there',
        'CIFAR-10-images',
        "dict(type='CIFAR10'",
        'BBBC038',
        '--from FOLDER',
    ):
        assert words in printed


@pytest.mark.parametrize('named', [True, False])
def test_the_tool_takes_a_folder_or_a_file(data, archive, tmp_path, monkeypatch, capsys, named):
    monkeypatch.setattr(get_data, 'DATA_SETS', {'tiny': data})
    source = archive if named else archive.parent
    printed, status = tool(monkeypatch, capsys, '--from', source, '--to', tmp_path / 'data')
    assert (printed, status) == (f'{tmp_path}/data/tiny: unpacked and checked\n', 0)
    printed, status = tool(monkeypatch, capsys, '--to', tmp_path / 'data')
    assert (printed, status) == (f'{tmp_path}/data/tiny: whole\n', 0)


@pytest.mark.parametrize(
    'arguments, words', [(['mnist'], "no data set 'mnist'"), (['--from', 'nowhere'], 'there is no nowhere')]
)
def test_the_tool_refuses_what_it_does_not_know(monkeypatch, capsys, arguments, words):
    printed, status = tool(monkeypatch, capsys, *arguments)
    assert status == 2 and words in printed
