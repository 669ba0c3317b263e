"""A guest book that forgets everything when it ends."""

from flask import Flask, jsonify, request

app = Flask(__name__)
guests = []


@app.get("/")
def read():
    return jsonify(guests=guests)


@app.post("/")
def sign():
    name = request.get_data(as_text=True).strip()
    if not name:
        return jsonify(error="a guest has a name"), 400
    guests.append(name)
    return jsonify(guests=guests), 201


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=8080)
