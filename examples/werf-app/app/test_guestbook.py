import unittest

import guestbook


class GuestBookTest(unittest.TestCase):
    def test_guests_are_kept_in_their_order(self):
        client = guestbook.app.test_client()
        for name in ["Ada", "Grace"]:
            self.assertEqual(client.post("/", data=name).status_code, 201)
        self.assertEqual(client.get("/").json, {"guests": ["Ada", "Grace"]})

    def test_a_guest_without_a_name_is_refused(self):
        self.assertEqual(guestbook.app.test_client().post("/", data=" ").status_code, 400)
