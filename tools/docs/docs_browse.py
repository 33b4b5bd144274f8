"""Opens a built site in a headless browser as a reader does: walks, searches, narrows the table of configs.

    .venv-docs/bin/python tools/docs/docs_browse.py build/site [--pictures FOLDER]

It ends with an error if something is not there, or if the browser's console reports one.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support import expected_conditions as seen
from selenium.webdriver.support.ui import WebDriverWait

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')
SECONDS = 30


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *args: object) -> None:
        """Nothing."""


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder at a free port of this machine, and give the address."""
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def opened() -> Iterator[WebDriver]:
    """Open a headless browser that keeps what its console says."""
    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    for argument in ('--headless=new', '--no-sandbox', '--disable-dev-shm-usage', '--window-size=1400,1000'):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    driver = webdriver.Chrome(options, Service(shutil.which('chromedriver')))
    try:
        yield driver
    finally:
        driver.quit()


class Reader:
    """Somebody who reads the site.

    Args:
        driver: The browser.
        address: Where the site is.
        pictures: Folder to write a picture of every page to. Default: None, none.
    """

    def __init__(self, driver: WebDriver, address: str, pictures: Path | None = None) -> None:
        self.driver, self.address, self.pictures = driver, address, pictures
        self.wait = WebDriverWait(driver, SECONDS)

    def check_page(self, heading: str) -> None:
        """Check the heading, that all pictures are there, and that the console reports no error."""
        self.wait.until(
            lambda driver: heading in driver.find_element(By.TAG_NAME, 'h1').text,
            f'{self.driver.current_url} has no heading {heading!r}',
        )
        broken = self.driver.execute_script(
            'return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)'
        )
        errors = [entry['message'] for entry in self.driver.get_log('browser') if entry['level'] == 'SEVERE']
        if broken or errors:
            raise SystemExit(f'{self.driver.current_url}: pictures not shown: {broken}, console: {errors}')
        if self.pictures:
            self.driver.save_screenshot(str(self.pictures / f'{heading.split()[0].strip(":")}.png'))
        print(f'{self.driver.current_url}: {heading}')

    def follow(self, text: str, heading: str) -> None:
        """Click on a link of the menu, and check the page behind it."""
        link = self.wait.until(
            seen.element_to_be_clickable((By.XPATH, f'//nav//a[normalize-space()="{text}"][not(ancestor::*[@hidden])]'))
        )
        self.driver.execute_script('arguments[0].click()', link)
        self.check_page(heading)

    def search(self, words: str, expected: str) -> None:
        """Type into the search field, and open the first result that names a page."""
        self.driver.execute_script("document.querySelector('#__search').click()")
        field = self.wait.until(seen.visibility_of_element_located((By.CSS_SELECTOR, '.md-search__input')))
        field.send_keys(words)
        found = f'//a[contains(@class,"md-search-result__link")][contains(., "{expected}")]'
        link = self.wait.until(seen.presence_of_element_located((By.XPATH, found)))
        self.driver.get(link.get_attribute('href').split('?')[0])

    def narrow_table(self, words: str, expected: str) -> None:
        """Type into the table's search field, and check which rows are left."""
        self.driver.find_element(By.ID, 'table-filter').send_keys(words)
        rows = [
            row.text for row in self.driver.find_elements(By.CSS_SELECTOR, '#models tbody tr') if row.is_displayed()
        ]
        if not rows or not all(all(word in row.lower() for word in words.split()) for row in rows):
            raise SystemExit(f'the table shows for {words!r}: {rows}')
        self.driver.find_element(By.LINK_TEXT, expected).click()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('site', type=Path)
    parser.add_argument('--pictures', type=Path, help='folder for a picture of every page')
    args = parser.parse_args()
    with served(args.site) as address, opened() as driver:
        reader = Reader(driver, address, args.pictures)
        driver.get(f'{address}/index.html')
        reader.check_page('mmkw')
        reader.follow('Methods', 'The ten methods')
        reader.follow('ODConv: omni-dimensional dynamic convolution', 'ODConv')
        if not driver.find_elements(By.CSS_SELECTOR, '.formula math mfrac, .formula math munderover'):
            raise SystemExit('the page of ODConv shows no formula')
        reader.follow('KernelWarehouse', 'KernelWarehouse')
        if driver.find_elements(By.CSS_SELECTOR, 'article > math'):
            raise SystemExit('a formula of the page of KernelWarehouse stands outside its sentence')
        reader.search('contrasting', 'contrasting_attention')
        reader.check_page('mmkw.ops')
        driver.get(f'{address}/configs.html')
        reader.check_page('Configs')
        reader.narrow_table('r50 odconv', 'odconv4x_r50_in1k')
        reader.check_page('configs/imagenet/odconv4x_r50_in1k.py')
        for page, heading in (
            ('tutorial', 'Tutorial'),
            ('scale', 'From one GPU to many machines'),
            ('api/layers', 'mmkw.layers'),
        ):
            driver.get(f'{address}/{page}.html')
            reader.check_page(heading)


if __name__ == '__main__':
    main()
